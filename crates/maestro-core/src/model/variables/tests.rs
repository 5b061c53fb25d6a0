//! What is too much, to the byte.

use super::*;
use crate::config::{Limits, load};
use crate::model::SpecWriter;
use crate::source::MapSources;
use std::fmt::Write as _;

fn environment(text: &str) -> Environment {
    let loaded = load(&MapSources::of(text), &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics.iter().next()))
}

/// One service with these lines, whose only instance has these settings.
fn one(service: &str, instance: &str) -> Environment {
    environment(&format!(
        "__maestro: {{schema: 2}}\nname: t\nships: {{a: {{ip: 192.0.2.1}}}}\n\
         services:\n  s:\n    image: bb\n{service}    instances: {{x-1: {{ship: a{instance}}}}}\n\
         \x20 other: {{image: bb, instances: {{o-1: {{ship: a}}}}}}\n"
    ))
}

fn found(environment: &Environment, instance: &str) -> Option<Excess> {
    SpecWriter::new(environment).excess(&environment.instances[instance])
}

/// What a container's variables and arguments take, counted from what is sent to the engine.
fn sent(environment: &Environment, instance: &str) -> usize {
    let instance = &environment.instances[instance];
    let env = SpecWriter::new(environment).env(instance);
    let vars = env.resolved().into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    let words = instance.settings.command.iter().flatten().cloned();
    vars.chain(words).map(|text| text.len() + 1 + 8).sum()
}

/// One instance with these settings, and variables with which all comes to so much.
fn filled(to: usize, instance: &str) -> Environment {
    let mut environment = one("", instance);
    let mut missing = to - sent(&environment, "x-1");
    let settings = Arc::make_mut(&mut environment.instances.get_mut("x-1").unwrap().settings);
    let mut vars = Vec::new();
    while missing > 0 {
        // The last one takes what is left, be it a little more.
        let bytes = if missing < 110_000 { missing } else { 100_000 };
        let name = format!("L{:02}", vars.len());
        vars.push(EnvVar::new(name, "x".repeat(bytes - "L00=".len() - 1 - 8)));
        missing -= bytes;
    }
    settings.env.push(vars.into());
    assert_eq!(sent(&environment, "x-1"), to);
    environment
}

#[test]
fn one_variable_may_have_128_kib() {
    // `LONG=` and the byte at its end.
    for (length, refused) in [((128 << 10) - 6, false), ((128 << 10) - 5, true)] {
        let environment = one(&format!("    env: {{LONG: {}}}\n", "x".repeat(length)), "");
        let excess = found(&environment, "x-1");
        assert_eq!(excess.is_some(), refused, "{length}");
        let Some(excess) = excess else { continue };
        assert_eq!(
            excess.to_string(),
            "variable `LONG` of service `s` has 129 KiB, and Linux starts no program with one of more than 128 KiB"
        );
        assert_eq!(excess.cause(), "it is one of the container's own");
        assert_eq!(excess.remedy(), "put what is long into a file that is mounted");
    }
    // The instance has another one of that name, or has it not at all.
    for other in ["short", "~"] {
        let long = format!("    env: {{LONG: {}}}\n", "x".repeat(200_000));
        assert_eq!(found(&one(&long, &format!(", env: {{LONG: {other}}}")), "x-1"), None);
    }
}

#[test]
fn all_together_may_have_a_quarter_of_the_stack() {
    for (settings, limit) in [
        ("", 2 << 20),
        // Unset, it takes nothing.
        (", env: {U: ~}", 2 << 20),
        (", command: [one, 'two three', '']", 2 << 20),
        (", ulimits: {nofile: 1000}", 2 << 20),
        (", ulimits: {stack: {hard: 16777216}}", 2 << 20),
        (", ulimits: {stack: 16777216}", 4 << 20),
        (", ulimits: {stack: {soft: 16777216, hard: -1}}", 4 << 20),
        (", ulimits: {stack: 67108864}", 6 << 20),
        (", ulimits: {stack: -1}", 6 << 20),
        (", ulimits: {stack: 1048576}", 256 << 10),
        (", ulimits: {stack: 262144}", 128 << 10),
    ] {
        assert_eq!(found(&filled(limit, settings), "x-1"), None, "{settings}");
        let excess = found(&filled(limit + 1, settings), "x-1").unwrap();
        assert_eq!((excess.bytes, excess.limit, &excess.variable), (limit + 1, limit, &None), "{settings}");
    }
}

/// Services with so many instances of long names, each with so many ports.
fn fleet(services: &[(&str, usize, &str)], ports: usize) -> Environment {
    let ports: Vec<String> = (1..=ports).map(|number| format!("port-{number}: {number}")).collect();
    let ports = ports.join(", ");
    let mut text = "__maestro: {schema: 2}\nname: t\nships: {a: {ip: 192.0.2.1}}\nservices:\n".to_owned();
    for (name, instances, lines) in services {
        writeln!(text, "  {name}:\n    image: bb\n    ports: {{{ports}}}\n    {lines}\n    instances:")
            .unwrap();
        for number in 0..*instances {
            writeln!(text, "      {name}-{number:0200}: {{ship: a}}").unwrap();
        }
    }
    environment(&text)
}

fn told(environment: &Environment, service: &str) -> String {
    let name = environment.services[service].instances.last().unwrap();
    let excess = found(environment, name.as_str()).unwrap();
    format!("{excess}\n{}\n{}", excess.cause(), excess.remedy())
}

#[test]
fn links_are_named_as_the_cause() {
    let services = [("node", 600, ""), ("web", 1, "wants_info: [node]"), ("cache", 1, "")];
    let environment = fleet(&services, 16);
    insta::assert_snapshot!(told(&environment, "node"), @"
    the variables of service `node` come to 4.7 MiB, and Linux starts no program with more than 2 MiB
    4.7 MiB of that say where the instances of service `node` are
    split the service, or publish fewer ports: its containers are told of all its instances and their ports; or let the stack of its programs grow: `ulimits: {stack: 19922944}`
    ");
    insta::assert_snapshot!(told(&environment, "web"), @"
    the variables of service `web` come to 2.5 MiB, and Linux starts no program with more than 2 MiB
    2.4 MiB of that say where the instances of service `node` are
    split service `node`, or leave it out of `requires` and `wants_info`: who names it there is told of all its instances and their ports; or let the stack of its programs grow: `ulimits: {stack: 10485760}`
    ");
    let cache = environment.services["cache"].instances.first().unwrap();
    assert_eq!(found(&environment, cache.as_str()), None);
    insta::assert_snapshot!(told(&fleet(&[("node", 600, "")], 40), "node"), @"
    the variables of service `node` come to 11.2 MiB, and Linux starts no program with more than 2 MiB
    11.2 MiB of that say where the instances of service `node` are
    split the service, or publish fewer ports: its containers are told of all its instances and their ports
    ");
}

/// It is not the last one that is meant, nor the container's own where the names of another are too many.
#[test]
fn the_largest_is_named_wherever_it_stands() {
    let ports = 8;
    let services = [
        ("large", 900, ""),
        ("small", 1, ""),
        ("web", 1, "wants_info: [large, small]"),
        ("zero", 1, "requires: [small]"),
    ];
    let environment = fleet(&services, ports);
    let (web, _) = environment.services.get_key_value("web").unwrap();
    let instance = &environment.instances[environment.services[web].instances.first().unwrap()];
    for own in [0, 200_000] {
        let mut instance = instance.clone();
        let long: Arc<[EnvVar]> = [EnvVar::new("OWN", "x".repeat(own))].into();
        Arc::make_mut(&mut instance.settings).env.push(long);
        let excess = Weights::new(&environment).at_most(&instance).unwrap();
        assert_eq!(excess.variable.as_deref(), Some("LARGE_INSTANCES"));
        assert_eq!(excess.largest.links_of.unwrap().as_str(), "large");
    }
    let environment = fleet(&[("large", 600, ""), ("small", 1, ""), services[2]], 16);
    let instance = &environment.instances[environment.services["web"].instances.first().unwrap()];
    let excess = Weights::new(&environment).at_most(instance).unwrap();
    assert_eq!((excess.variable, excess.largest.links_of.unwrap().as_str()), (None, "large"));
}

#[test]
fn the_names_of_a_service_may_be_too_long_for_one_variable() {
    insta::assert_snapshot!(told(&fleet(&[("n", 700, "")], 0), "n"), @"
    variable `N_INSTANCES` of service `n` has 139 KiB, and Linux starts no program with one of more than 128 KiB
    it has the names of all instances of service `n`
    split the service, or publish fewer ports: its containers are told of all its instances and their ports
    ");
}

#[test]
fn what_is_added_up_is_what_is_sent() {
    let text = "
__maestro: {schema: 2}
name: t
ships: {a: {ip: 192.0.2.1}, b: {ip: ships.example}}
services:
  store-db:
    image: bb
    ports: {sql: '5432:15432', 'é.x': '7000-7001/udp:17000-17001/udp'}
    instances: {store-1: {ship: a}, s.2: {ship: b, ports: {own: 1}}}
  none: {image: bb, instances: {}}
  straße:
    image: bb
    requires: [store-db]
    wants_info: [none, straße]
    command: run this
    env: {A: 1, B: [x, y], C: ~}
    instances: {web-1: {ship: b, env: {A: longer}}}
";
    let environment = environment(text);
    let mut weights = Weights::new(&environment);
    let mut links = Links::new(&environment);
    for (service, other, own) in [
        ("store-db", "store-db", true),
        ("straße", "straße", true),
        ("straße", "none", false),
        ("straße", "store-db", false),
    ] {
        let (service, _) = environment.services.get_key_value(service).unwrap();
        let (other, _) = environment.services.get_key_value(other).unwrap();
        let blocks = links.of(service);
        let block = blocks.iter().find(|block| block.service == *other).unwrap();
        let sum = block.vars.iter().map(|var| with_address(bytes(var))).sum::<usize>();
        let names = block.vars.iter().find(|var| var.name.ends_with("_INSTANCES")).map(bytes).unwrap();
        assert_eq!(weights.block(other, own), Block { bytes: sum, names }, "{service} of {other}");
    }
    let name = |name: &str| environment.services.get_key_value(name).unwrap().0;
    let sum = ["none", "store-db"].map(|other| weights.block(name(other), false));
    let own = weights.block(name("straße"), true);
    let told = weights.links(name("straße"));
    assert_eq!(told.bytes, own.bytes + sum[0].bytes + sum[1].bytes);
    assert_eq!((told.largest, told.names), ((name("store-db"), sum[1].bytes), None));
}

/// A service is told of all behind it: of thousands, that is millions to look at.
#[test]
fn long_chains_of_services_are_added_up_only_where_it_may_be_too_much() {
    let mut text = "__maestro: {schema: 2}\nname: t\nships: {a: {ip: 192.0.2.1}}\nservices:\n".to_owned();
    for number in 0..60 {
        let ulimits = if number == 7 { ", ulimits: {stack: 1}" } else { "" };
        let padding = "x".repeat(700);
        writeln!(
            text,
            "  s{number}: {{image: bb, requires: [s{}], ports: {{a{padding}: 1, b{padding}: 2, c{padding}: 3, d{padding}: 4}}, \
             instances: {{i-{number}: {{ship: a{ulimits}}}}}}}",
            number + 1
        )
        .unwrap();
    }
    text += "  s60: {image: bb, instances: {}}\n";
    let environment = environment(&text);
    let mut weights = Weights::new(&environment);
    for name in ["i-0", "i-1", "i-59"] {
        assert_eq!(weights.at_most(&environment.instances[name]), None);
    }
    assert_eq!(weights.work(), 0);
    let excess = weights.at_most(&environment.instances["i-7"]).unwrap();
    let limit = 128 << 10;
    assert_eq!((excess.limit, excess.bytes > limit, excess.bytes < 2 * limit), (limit, true, true));
    // 53 services, 52 of which name another one.
    assert_eq!(weights.work(), 105);
}

#[test]
fn names_that_are_the_same_count_once() {
    // All of them are `N_N_<port>_PORT` and so on.
    let mut ports = String::new();
    for number in 0..9000 {
        write!(ports, "port.with.a.rather.long.name.{number}: {}, ", number + 1).unwrap();
    }
    let text = |other: &str| {
        format!(
            "__maestro: {{schema: 2}}\nname: t\nships: {{a: {{ip: 192.0.2.1}}}}\nservices:\n  n:\n    image: bb\n    \
             ports: {{{ports}}}\n    instances: {{n-1: {{ship: a}}, {other}: {{ship: a}}}}\n"
        )
    };
    for (other, refused) in [("n.1", false), ("n.2", true)] {
        let environment = environment(&text(other));
        let instance = &environment.instances["n-1"];
        assert!(Weights::new(&environment).at_most(instance).is_some());
        let excess = found(&environment, "n-1");
        assert_eq!(excess.is_some(), refused, "{other}");
        assert_eq!(excess.map(|excess| excess.bytes), refused.then(|| sent(&environment, "n-1")));
    }
    // A link takes the place of a variable of that name.
    let long = "x".repeat(200_000);
    let environment = one(&format!("    env: {{S_INSTANCES: {long}}}\n"), "");
    assert_eq!(found(&environment, "x-1"), None);
}
