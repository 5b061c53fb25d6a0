//! `deploy:` of services: what it may say, and what instances cannot keep.

use super::{HEAD, show};
use crate::config::{Limits, load};
use crate::model::Strategy;
use crate::source::MapSources;

fn loaded(deploy: &str, instance: &str) -> (Option<Strategy>, String) {
    let text = format!(
        "{HEAD}services:\n  web:\n    image: bb\n    deploy: {{{deploy}}}\n    instances:\n      web-1: {{ship: a{instance}}}\n"
    );
    let loaded = load(&MapSources::of(&*text), &Limits::default());
    let said = show(&loaded.diagnostics, &loaded.sources);
    let strategy = loaded.environment.map(|environment| environment.services["web"].deploy.strategy);
    (strategy, said)
}

#[test]
fn a_pace_has_two_parts() {
    for (written, down, beside) in [
        ("strategy: rolling", 1, 1),
        ("strategy: rolling, max_unavailable: 50%", 5, 5),
        ("strategy: rolling, max_unavailable: 25%", 2, 3),
        ("strategy: rolling, max_unavailable: 0", 0, 1),
        ("strategy: rolling, max_surge: 0", 1, 0),
        ("strategy: rolling, max_unavailable: 0%, max_surge: 33%", 0, 4),
        ("strategy: recreate", 10, 0),
        ("strategy: blue-green", 0, 10),
        ("strategy: canary, canaries: 10%, pause: 5m", 1, 1),
        ("strategy: canary, max_unavailable: 0, max_surge: 2", 0, 2),
    ] {
        let (strategy, said) = loaded(written, "");
        let strategy = strategy.unwrap_or_else(|| panic!("{written}: {said}"));
        assert_eq!((strategy.down(10), strategy.beside(10)), (down, beside), "{written}");
        assert_eq!(said, "", "{written}");
    }
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let said = |deploy: &str, instance: &str| loaded(deploy, instance).1;
    insta::assert_snapshot!(said("strategy: rolling, max_unavailable: 0, max_surge: 0", ""), @r#"
    E0404 `max_unavailable` and `max_surge` of `deploy` of service `web` are both 0: no instance could ever be replaced
      maestro.yaml:9:50 "0"
      maestro.yaml:9:64 "0" and this is 0
      help: let one more be there for a while (`max_surge: 1`), or one be down (`max_unavailable: 1`)
    "#);
    insta::assert_snapshot!(said("strategy: rolling, max_surge: most", ""), @r#"
    E0304 `max_surge` of `deploy` of service `web` must be a number of instances, or a percentage such as `25%`
      maestro.yaml:9:44 "most"
    "#);
    insta::assert_snapshot!(said("strategy: canary, canaries: 0, pause: soon", ""), @r#"
    E0304 `canaries` of `deploy` of service `web` is 0: nothing would be tried before the others
      maestro.yaml:9:42 "0"
      help: write `strategy: rolling`
    E0304 `pause` of `deploy` of service `web` must be a number of seconds, not `soon`
      maestro.yaml:9:52 "soon"
    "#);
    insta::assert_snapshot!(said("strategy: blue-green, max_surge: 1", ""), @r#"
    W0501 `max_surge` of `deploy` of service `web` does nothing: `blue-green` replaces all instances together
      maestro.yaml:9:47 "1"
      help: write `strategy: rolling`
    "#);
    insta::assert_snapshot!(said("strategy: blue-green", ", net: host"), @r#"
    E0404 `strategy: blue-green` of service `web` cannot be kept: there cannot be two containers of `web-1` at the same time
      maestro.yaml:11:7 "web-1"
      note: its network is `host`
      help: replace one after the other: `strategy: rolling`
    "#);
    insta::assert_snapshot!(said("strategy: rolling, pause: 5m", ""), @r#"
    W0501 `pause` of `deploy` of service `web` does nothing: `rolling` tries none of them first
      maestro.yaml:9:40 "5m"
      help: write `strategy: canary`
    "#);
    insta::assert_snapshot!(said("max_surge: 1", ""), @r#"
    W0501 `max_surge` of `deploy` of service `web` does nothing: `recreate` replaces all instances at once
      maestro.yaml:9:25 "1"
      help: write `strategy: rolling`
    "#);
    insta::assert_snapshot!(said("strategy: rolling, max_unavailable: 0", ", ports: {http: 80}"), @r#"
    E0404 `max_unavailable: 0` of service `web` cannot be kept: there cannot be two containers of `web-1` at the same time
      maestro.yaml:11:7 "web-1"
      note: it publishes the fixed port 80 of its ship
      help: give it a range of ports, such as {exposed: 80, external: 8100-8199}, or let one be down: `max_unavailable: 1`
    "#);
    insta::assert_snapshot!(said("strategy: rolling, max_unavailable: 0", ", volumes: {/data: /var/data}"), @r#"
    E0404 `max_unavailable: 0` of service `web` cannot be kept: there cannot be two containers of `web-1` at the same time
      maestro.yaml:11:7 "web-1"
      note: it can write to /data
      help: let one be down: `max_unavailable: 1`
    "#);
}

/// A service of so many instances, with a route to it or without.
fn weighed(deploy: &str, instances: usize, balancers: &str) -> (Option<Strategy>, String) {
    let names: Vec<_> = (1..=instances).map(|number| format!("web-{number}: {{ship: a}}")).collect();
    let names = names.join(", ");
    let text = format!(
        "{HEAD}services:\n  web:\n    image: bb\n    ports: {{http: '80:8100-8999'}}\n    deploy: {{{deploy}}}\n    \
         instances: {{{names}}}\n  api: {{image: bb, ports: {{http: 81}}, instances: {{api-1: {{ship: a}}}}}}\n{balancers}"
    );
    let loaded = load(&MapSources::of(&*text), &Limits::default());
    let said = show(&loaded.diagnostics, &loaded.sources);
    let strategy = loaded.environment.map(|environment| environment.services["web"].deploy.strategy);
    (strategy, said)
}

const FRONT: &str = "balancers: {front: {kind: haproxy, hosts: lb, routes: [{service: web, port: http}]}}\n";
const ASIDE: &str = "balancers: {front: {kind: haproxy, hosts: lb, routes: [{service: api, port: http}]}}\n";

#[test]
fn canaries_can_have_a_portion_of_the_requests() {
    for (written, percent) in [("10%", 10), ("' 1 %'", 1), ("99%", 99), ("null", 0)] {
        let (strategy, said) = weighed(&format!("strategy: canary, weight: {written}"), 3, FRONT);
        let Some(Strategy::Canary(canary)) = strategy else { panic!("{written}: {said}") };
        assert_eq!((canary.weight.unwrap_or_default(), &*said), (percent, ""), "{written}");
    }
    for wrong in ["10", "0%", "100%", "0.5%", "-3%", "'%'", "much", "[10%]", "'10'", "256%"] {
        let said = weighed(&format!("strategy: canary, weight: {wrong}"), 3, FRONT).1;
        assert!(
            said.contains("`weight` of `deploy` of service `web` must be a percentage from 1% to 99%"),
            "{wrong}: {said}"
        );
    }
    insta::assert_snapshot!(weighed("strategy: canary, weight: 10", 3, FRONT).1, @r#"
    E0304 `weight` of `deploy` of service `web` must be a percentage from 1% to 99%, such as `10%`
      maestro.yaml:10:40 "10"
      note: it is what the canaries together get of the service's requests
    "#);
}

#[test]
fn a_portion_that_nobody_can_give_is_refused() {
    let tenth = "strategy: canary, weight: 10%";
    insta::assert_snapshot!(weighed(tenth, 3, ASIDE).1, @r#"
    E0404 `weight` of `deploy` of service `web` cannot be kept: no balancer sends requests to it
      maestro.yaml:10:40 "10%"
      help: give it a route (`balancers`), or leave `weight` out
    "#);
    insta::assert_snapshot!(weighed(tenth, 3, "").1, @r#"
    E0404 `weight` of `deploy` of service `web` cannot be kept: no balancer sends requests to it
      maestro.yaml:10:40 "10%"
      help: give it a route (`balancers`), or leave `weight` out
    "#);
    insta::assert_snapshot!(weighed("strategy: rolling, weight: 10%", 3, FRONT).1, @r#"
    W0501 `weight` of `deploy` of service `web` does nothing: `rolling` tries none of them first
      maestro.yaml:10:41 "10%"
      help: write `strategy: canary`
    "#);
    insta::assert_snapshot!(weighed("weight: 10%", 3, FRONT).1, @r#"
    W0501 `weight` of `deploy` of service `web` does nothing: `recreate` replaces all instances at once
      maestro.yaml:10:22 "10%"
      help: write `strategy: canary`
    "#);
    insta::assert_snapshot!(weighed(tenth, 1, FRONT).1, @r#"
    W0501 `weight` of `deploy` of service `web` does nothing: all its instances are tried first
      maestro.yaml:10:40 "10%"
    "#);
    insta::assert_snapshot!(weighed("strategy: canary, weight: 99%", 9, FRONT).1, @r#"
    W0501 `weight` of `deploy` of service `web` comes to 97.0%: no server can have more than 255 times the requests of another
      maestro.yaml:10:40 "99%"
    "#);
    // Of a balancer that cannot be read, nobody knows what it sends where.
    let faulty = "balancers: {front: {kind: haproxy, hosts: lb, routes: [{service: wbe, port: http}]}}\n";
    let said = weighed(tenth, 3, faulty).1;
    assert!(said.contains("wbe") && !said.contains("weight"), "{said}");
}
