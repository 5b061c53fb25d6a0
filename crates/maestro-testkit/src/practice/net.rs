//! The network of a fleet: a switch that this machine, the ships and the registry are plugged into.
//!
//! The switch is a bridge in a namespace of its own, because a Docker Engine on the machine itself makes the
//! machine's packet filter drop what is forwarded over its bridges.

use super::command::Runner;
use super::error::FleetError;
use super::layout::Layout;
use futures_util::future::try_join_all;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Name of the bridge, in the switch's namespace.
const BRIDGE: &str = "bridge";

/// Builds switch, namespaces and cables. The ships have no default route: nothing that an engine or a container
/// does can leave the machine, and what lies outside fails at once instead of after a timeout.
pub(crate) async fn build(layout: &Layout, runner: &Runner) -> Result<(), FleetError> {
    let switch = layout.switch_netns();
    let host = layout.host_link();
    let ships = (0..layout.ships).map(|ship| (layout.netns(ship), layout.ship_address(ship)));
    let plugged: Vec<(String, Ipv4Addr)> =
        ships.chain([(layout.registry_netns(), layout.registry_address())]).collect();
    let mut cables = vec![
        format!("netns add {switch}"),
        format!("link add {host} type veth peer name {host} netns {switch}"),
        format!("address add {}/24 dev {host}", layout.host_address()),
        format!("link set {host} up"),
    ];
    let mut ports = vec![
        format!("link add {BRIDGE} type bridge forward_delay 0 mcast_snooping 0"),
        format!("link set {BRIDGE} up"),
        format!("link set {host} master {BRIDGE} up"),
    ];
    for (name, _) in &plugged {
        cables.push(format!("netns add {name}"));
        cables.push(format!("link add eth0 netns {name} type veth peer name {name} netns {switch}"));
        ports.push(format!("link set {name} master {BRIDGE} up"));
    }
    run_batch(layout, runner, &[], &host, &cables).await?;
    run_batch(layout, runner, &["-netns", &switch], &switch, &ports).await?;
    try_join_all(plugged.into_iter().map(|(name, address)| plug_in(layout, runner, name, address))).await?;
    Ok(())
}

async fn plug_in(
    layout: &Layout,
    runner: &Runner,
    namespace: String,
    address: Ipv4Addr,
) -> Result<(), FleetError> {
    let batch = ["link set lo up", &format!("address add {address}/24 dev eth0"), "link set eth0 up"];
    let batch = batch.map(str::to_owned);
    run_batch(layout, runner, &["-netns", &namespace], &namespace, &batch).await
}

/// Runs many `ip` commands at the cost of one.
async fn run_batch(
    layout: &Layout,
    runner: &Runner,
    options: &[&str],
    name: &str,
    batch: &[String],
) -> Result<(), FleetError> {
    let path = layout.run().join(format!("{name}.batch"));
    std::fs::write(&path, batch.join("\n") + "\n")
        .map_err(FleetError::io(format!("write {}", path.display())))?;
    let file = path.to_string_lossy();
    runner.run("ip", &[options, &["-batch", &file]].concat()).await.map(drop)
}

/// Pulls the cable of a namespace out of the switch, or puts it back.
pub(crate) async fn set_link(
    layout: &Layout,
    runner: &Runner,
    namespace: &str,
    up: bool,
) -> Result<(), FleetError> {
    let state = if up { "up" } else { "down" };
    runner.run("ip", &["-netns", &layout.switch_netns(), "link", "set", namespace, state]).await.map(drop)
}

/// Delays everything that goes to a namespace. Zero takes the delay away.
pub(crate) async fn set_delay(
    layout: &Layout,
    runner: &Runner,
    namespace: &str,
    delay: Duration,
) -> Result<(), FleetError> {
    let switch = layout.switch_netns();
    let queue =
        async |words: &[&str]| runner.run("tc", &[&["-netns", &switch, "qdisc"], words].concat()).await;
    if delay.is_zero() {
        if queue(&["show", "dev", namespace]).await?.contains("netem") {
            queue(&["delete", "dev", namespace, "root"]).await?;
        }
        return Ok(());
    }
    let milliseconds = format!("{}ms", delay.as_millis());
    match queue(&["replace", "dev", namespace, "root", "netem", "delay", &milliseconds]).await {
        Err(FleetError::Command { output, .. }) if output.contains("qdisc kind is unknown") => {
            Err(FleetError::Unsupported {
                what: "this kernel has no netem queueing discipline (module sch_netem), so a ship cannot be slowed"
                    .to_owned(),
            })
        }
        other => other.map(drop),
    }
}
