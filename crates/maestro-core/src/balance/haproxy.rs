//! The configuration of HAProxy 2.4 and newer.
//!
//! What each line is there for, and where that is known from, is in `docs/design/0023`.

use super::{Backend, head, names, ordered, own_lines};
use crate::model::{Balancer, BalancerMode, BalancerPlace, Listen};
use std::fmt::Write as _;

pub(super) fn render(balancer: &Balancer, backends: &[Backend<'_>], generation: &str) -> String {
    let mut out = head(balancer, generation);
    out.push_str("global\n    master-worker\n");
    _ = writeln!(out, "    hard-stop-after {}s", balancer.drain.as_secs());
    own_lines(&mut out, &balancer.global);
    out.push_str(
        "\ndefaults\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n    \
         timeout queue 30s\n    option redispatch 1\n    retries 3\n    \
         default-server check inter 2s fall 3 rise 1 init-addr libc,none\n",
    );
    own_lines(&mut out, &balancer.defaults);
    let name = names::safe(balancer.name.as_str());
    match balancer.mode {
        BalancerMode::Http => http(&mut out, balancer, backends, &name),
        BalancerMode::Tcp => tcp(&mut out, balancer, backends, &name),
    }
    for backend in backends {
        self::backend(&mut out, balancer, backend);
    }
    status(&mut out, balancer, &name, generation);
    out
}

fn http(out: &mut String, balancer: &Balancer, backends: &[Backend<'_>], name: &str) {
    _ = writeln!(out, "\nfrontend {name}\n    mode http");
    balancer.listen.iter().for_each(|listen| bind(out, listen));
    out.push_str("    timeout http-request 10s\n");
    _ = writeln!(out, "    timeout http-keep-alive {}s", balancer.keep_alive().as_secs());
    out.push_str("    option idle-close-on-response\n    option http-server-close\n    option forwardfor\n");
    for (number, (route, backend)) in ordered(balancer, backends).into_iter().enumerate() {
        let number = number + 1;
        let mut conditions = String::new();
        if let Some(host) = &route.host {
            _ = writeln!(out, "    acl host{number} req.hdr(host),field(1,:) -i {host}");
            _ = write!(conditions, " host{number}");
        }
        if &*route.path != "/" {
            _ = writeln!(
                out,
                "    acl path{number} path {0}\n    acl path{number} path_beg {0}/",
                route.path
            );
            _ = write!(conditions, " path{number}");
        }
        let when = if conditions.is_empty() { "" } else { " if" };
        _ = writeln!(out, "    use_backend {}{when}{conditions}", backend.name);
    }
    _ = writeln!(out, "    default_backend {NOWHERE}");
    _ = writeln!(out, "\nbackend {NOWHERE}\n    mode http\n    http-request return status 404");
}

/// Where requests go that no route is for. No name of ours has two dots in it.
const NOWHERE: &str = "no..route";

fn tcp(out: &mut String, balancer: &Balancer, backends: &[Backend<'_>], name: &str) {
    _ = writeln!(out, "\nfrontend {name}\n    mode tcp");
    balancer.listen.iter().for_each(|listen| bind(out, listen));
    for backend in backends.iter().take(1) {
        _ = writeln!(out, "    default_backend {}", backend.name);
    }
}

fn bind(out: &mut String, listen: &Listen) {
    match &listen.address {
        Some(_) => _ = writeln!(out, "    bind {listen}"),
        None => _ = writeln!(out, "    bind :{}", listen.port),
    }
}

fn backend(out: &mut String, balancer: &Balancer, backend: &Backend<'_>) {
    let mode = match balancer.mode {
        BalancerMode::Http => "http",
        BalancerMode::Tcp => "tcp",
    };
    _ = writeln!(out, "\nbackend {}\n    mode {mode}\n    balance roundrobin", backend.name);
    if balancer.mode == BalancerMode::Http {
        out.push_str("    retry-on conn-failure\n");
    }
    for server in &backend.servers {
        let weight = if server.takes_requests() { server.endpoint.weight } else { 0 };
        _ = writeln!(out, "    server {} {} weight {weight}", server.name, server.endpoint.authority());
    }
}

fn status(out: &mut String, balancer: &Balancer, name: &str, generation: &str) {
    let Some(port) = balancer.status else { return };
    // A container's is published; on a host it is nobody else's business.
    let address = match balancer.place {
        BalancerPlace::Service(_) => "",
        BalancerPlace::Hosts(_) | BalancerPlace::Local => "127.0.0.1",
    };
    _ = writeln!(
        out,
        "\nfrontend {name}..status\n    mode http\n    timeout http-request 5s\n    bind {address}:{port}\n    \
         http-request return status 200 content-type text/plain string \"{generation}\\n\" if {{ path {} }}\n    \
         http-request return status 404",
        Balancer::STATUS_PATH
    );
}
