use super::{DocumentError, Recorded, Release, disagreement, retagged};
use crate::config::{Limits, load};
use crate::image::ImageRef;
use crate::model::{BalancerKind, Environment, SpecWriter};
use crate::names::{InstanceName, ServiceName};
use crate::planner::tests::fleet;
use crate::source::MapSources;
use std::collections::BTreeSet;

const FILE: &str = "
__maestro: {schema: 2}
name: shop
registries: {main: {registry: 'https://reg:5000', username: ci, password: hunter2}}
audit: [{type: slack, channel: c, token: hunter2}]
ships: {a: {ip: 192.0.2.1}, b: {ip: 192.0.2.2}}
services:
  db: {image: 'reg:5000/db:1', instances: {db-1: {ship: a}}}
  web:
    image: reg:5000/web:{{ env.TAG }}
    envfile: web.env
    requires: [db]
    instances: {web-1: {ship: a}, web-2: {ship: b, image: 'reg:5000/web-canary:3'}}
";

fn sources(tag: &str) -> MapSources {
    MapSources::of(FILE).with_variable("TAG", tag).with_file("web.env", "GREETING={{ hello }}\n")
}

fn read(sources: &MapSources) -> (Environment, Release) {
    let recorded = Recorded::new(sources);
    let loaded = load(&recorded, &Limits::default());
    let environment = loaded.environment.unwrap();
    let release = Release::of(&environment, loaded.tree.as_ref().unwrap(), &recorded);
    (environment, release)
}

fn specs(environment: &Environment) -> Vec<(crate::model::ContainerSpec, crate::names::ConfigHash)> {
    let mut writer = SpecWriter::new(environment);
    environment.instances.values().map(|instance| writer.spec(instance)).collect()
}

#[test]
fn a_release_gives_the_containers_that_its_file_gave() {
    let (environment, release) = read(&sources("1"));
    let kept = Release::from_bytes(&release.to_bytes()).unwrap();
    assert_eq!(kept, release);
    // Another day, another file.
    let (today, other) = read(&sources("2"));
    let again = kept.environment(&today).unwrap();
    assert_eq!(again, environment);
    assert_eq!(specs(&again), specs(&environment));
    assert_ne!(other.id(), release.id());
    assert_eq!(release.id().len(), 64);
}

/// A balancer's own template is part of a release, also of one that is put together of two.
#[test]
fn the_templates_of_balancers_are_kept() {
    let file = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}}
services:
  web: {image: 'web:1', ports: {http: 80}, instances: {web-1: {ship: a}}}
  db: {image: 'db:1', instances: {db-1: {ship: a}}}
balancers:
  front: {kind: template, template: front.j2, config: /x, check: 'x {file}', reload: x, status: 81, local: true,
          listen: '127.0.0.1:80', routes: [{service: web, port: http}]}
";
    let sources = |text: &str| MapSources::of(file).with_file("front.j2", text);
    let (environment, release) = read(&sources("of old {{ generation }}"));
    let text = |environment: &Environment| match &environment.balancers["front"].kind {
        BalancerKind::Template { text, .. } => text.to_string(),
        other => panic!("{other:?}"),
    };
    let (today, other) = read(&sources("of today {{ generation }}"));
    assert_ne!(other.id(), release.id());
    assert_eq!(text(&release.environment(&today).unwrap()), text(&environment));
    let composed = other.with_services_of(&release, &BTreeSet::from([ServiceName::from("db")]));
    assert_eq!(text(&composed.environment(&today).unwrap()), text(&today));
}

/// Where replicas were is kept: ships that come, go or change their tags later do not move those of a release.
#[test]
fn replicas_stay_where_they_were() {
    let file = "
__maestro: {schema: 2}
name: shop
ships:
  a: {ip: 192.0.2.1, tags: {zone: x}}
  b: {ip: 192.0.2.2, tags: {zone: y}}
services:
  web:
    image: web:1
    replicas: 5
    place: {spread: zone, max_per_ship: 3}
    ports: {http: {exposed: 80, external: 8100-8199}}
    envfile: web.env
    env: {A: 1}
    command: [run, it]
    volumes: {/data: /srv/web}
    restart: always
  none: {image: web:1, replicas: 0, requires: [web]}
";
    let sources = |file: &str| MapSources::of(file).with_file("web.env", "GREETING=hello\n");
    let (environment, release) = read(&sources(file));
    let kept = Release::from_bytes(&release.to_bytes()).unwrap();
    assert_eq!(kept.environment(&environment).unwrap(), environment);
    assert_eq!(specs(&kept.environment(&environment).unwrap()), specs(&environment));
    // Another fleet, where all would be elsewhere.
    let later = file
        .replace(
            "  a: {ip: 192.0.2.1, tags: {zone: x}}\n",
            "  a: {ip: 192.0.2.1, tags: {zone: z}}\n  c: {ip: 192.0.2.3, tags: {zone: w}}\n",
        )
        .replace("replicas: 5", "replicas: 7");
    let (today, now) = read(&sources(&later));
    let ships = |environment: &Environment| -> Vec<String> {
        environment.services["web"]
            .instances
            .iter()
            .map(|name| environment.instances[name].ship.to_string())
            .collect()
    };
    assert_ne!(ships(&today)[..5], ships(&environment));
    let back = kept.on_ships_of(&now).environment(&today).unwrap();
    assert_eq!(ships(&back), ships(&environment));
    assert_eq!(back.services["web"].instances.len(), 5);
    // And with another service of that day, it is that one alone that changes.
    let mixed = now.with_services_of(&kept, &["web".into()].into()).environment(&today).unwrap();
    assert_eq!(ships(&mixed), ships(&environment));
    insta::assert_snapshot!(release.file, @r#"
    "__maestro": {"schema": !!int "2"}
    "name": "shop"
    "ships": {"a": {"ip": "192.0.2.1", "tags": {"zone": "x"}}, "b": {"ip": "192.0.2.2", "tags": {"zone": "y"}}}
    "services": {"web": {"image": "web:1", "instances": {"web-1": &v0 {"ship": "a", "command": &v1 ["run", "it"], "volumes": &v2 {"/data": "/srv/web"}, "restart": "always"}, "web-2": &v3 {"ship": "b", "command": *v1 , "volumes": *v2 , "restart": "always"}, "web-3": *v0 , "web-4": *v3 , "web-5": *v0 }, "ports": {"http": {"exposed": !!int "80", "external": "8100-8199"}}, "envfile": "7e719321eb96/web.env", "env": {"A": !!int "1"}}, "none": {"image": "web:1", "instances": {}, "requires": ["web"]}}
    "#);
}

#[test]
fn no_password_of_today_is_kept() {
    let bytes = read(&sources("1")).1.to_bytes();
    assert!(!String::from_utf8(bytes).unwrap().contains("hunter2"));
}

#[test]
fn images_are_of_the_content_that_they_stood_for() {
    let (environment, mut release) = read(&sources("1"));
    let digest = format!("sha256:{}", "ab".repeat(32));
    release.pin(&"web".into(), &ImageRef::parse("reg:5000/web:1"), &digest);
    let pinned = Release::from_bytes(&release.to_bytes()).unwrap().environment(&environment).unwrap();
    let image = |name: &str| pinned.instances[name].image.clone();
    assert_eq!(image("web-1").as_str(), format!("reg:5000/web:1@{digest}"));
    assert_eq!(image("web-1").shown_version(), "1");
    assert_eq!(image("db-1").as_str(), "reg:5000/db:1");
    // What programs are told, and what tells containers apart, does not depend on who made them.
    let without_image = |environment: &Environment| {
        specs(environment).into_iter().map(|(spec, hash)| (spec.env, hash)).collect::<Vec<_>>()
    };
    assert_eq!(without_image(&pinned), without_image(&environment));
}

#[test]
fn a_tag_is_given_to_the_images_of_a_service_wherever_they_are_written() {
    let all = sources("1");
    let loaded = load(&all, &Limits::default());
    let root = retagged(loaded.tree.as_ref().unwrap(), &["web".into()].into(), "7");
    let recorded = Recorded::new(&all);
    load(&recorded, &Limits::default());
    let today = loaded.environment.unwrap();
    let environment = Release::of(&today, &root, &recorded).environment(&today).unwrap();
    let images: Vec<_> = environment.instances.values().map(|i| i.image.to_string()).collect();
    assert_eq!(images, ["reg:5000/db:1", "reg:5000/web:7", "reg:5000/web-canary:7"]);
}

/// What a version has written, every later one reads.
#[test]
fn earlier_forms_are_read() {
    let file = r#"\"name\": \"shop\"\n\"ships\": {\"a\": {\"ip\": \"192.0.2.1\"}}\n\"services\": {\"x\": {\"image\": \"x:1\", \"instances\": {\"x-1\": {\"ship\": \"a\"}}}}\n"#;
    let digest = format!("sha256:{}", "ab".repeat(32));
    let today = read(&sources("1")).0;
    for (format, images) in
        [(1, format!(r#"{{"x:1":"{digest}"}}"#)), (2, format!(r#"{{"x":{{"x:1":"{digest}"}}}}"#))]
    {
        let kept = format!(
            r#"{{"format":{format},"environment":"shop","file":"{file}","env_files":{{}},"variables":{{}},"images":{images}}}"#
        );
        let release = Release::from_bytes(kept.as_bytes()).unwrap();
        assert_eq!(release.environment, "shop");
        let environment = release.environment(&today).unwrap();
        assert_eq!(environment.instances["x-1"].image.as_str(), format!("x:1@{digest}"));
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    for (kept, expected) in [
        ("{", "it is no JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "its `format` is missing or not what it should be"),
        (r#"{"format":3}"#, "it has the form 3, and this Maestro reads up to 2"),
        (r#"{"format":1,"environment":1}"#, "its `environment` is missing or not what it should be"),
    ] {
        let error: DocumentError = Release::from_bytes(kept.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

/// Where no registry tells, ships are only deployed to if they would run the same.
#[test]
fn ships_disagree_about_an_image_or_do_not() {
    let (environment, _) = read(&sources("1"));
    let instances: Vec<_> = environment.instances.keys().cloned().collect();
    let image = ImageRef::parse("reg:5000/db:1");
    let web = ImageRef::parse("reg:5000/web:1");
    let said = |image: &ImageRef, world: &str| disagreement(&environment, &fleet(world), &instances, image);
    assert_eq!(said(&image, "a: | reg:5000/db:1\nb:"), None);
    assert_eq!(said(&image, "a:\nb:").as_deref(), Some("ship a does not have it"));
    assert_eq!(said(&image, "a: down\nb:"), None, "who is not seen is not deployed to");
    // The canary is of another image.
    assert_eq!(said(&web, "a: | reg:5000/web:1\nb:"), None);
    let mut both = environment.clone();
    both.instances.get_mut("web-2").unwrap().image = web.clone();
    let said = |world: &str| disagreement(&both, &fleet(world), &instances, &web);
    assert_eq!(said("a: | reg:5000/web:1\nb: | reg:5000/web:1"), None);
    let mut other = fleet("a: | reg:5000/web:1\nb: | reg:5000/web:1");
    let Some(crate::fleet::ShipView::Reachable(state)) = other.ships.get_mut("b") else { panic!() };
    let images = std::sync::Arc::make_mut(state).images.as_mut().unwrap();
    for found in images.iter_mut() {
        found.id = "sha256:moved".into();
    }
    let why = disagreement(&both, &other, &instances, &web);
    assert_eq!(why.as_deref(), Some("ships a and b have different contents under that name"));
}

fn of(file: &str, env_file: &str) -> (Environment, Release) {
    read(&MapSources::of(file).with_variable("TAG", "1").with_file("web.env", env_file))
}

fn named(names: &[&str]) -> BTreeSet<ServiceName> {
    names.iter().map(|name| ServiceName::from(*name)).collect()
}

/// What changes of a service changes its part, and no other's.
#[test]
fn parts_tell_services_apart() {
    let file = FILE.replace("{{ env.TAG }}", "1");
    let (_, mut release) = of(&file, "A=1\n");
    let parts = release.parts();
    assert_eq!(parts.keys().map(ServiceName::as_str).collect::<Vec<_>>(), ["db", "web"]);
    let changed = |other: &Release| -> Vec<String> {
        let others = other.parts();
        let names = parts.keys().filter(|name| parts.get(*name) != others.get(*name));
        names.map(ToString::to_string).collect()
    };
    assert!(changed(&of(&file, "A=1\n").1).is_empty());
    assert!(changed(&Release::from_bytes(&release.to_bytes()).unwrap()).is_empty());
    assert_eq!(changed(&of(&file, "A=2\n").1), ["web"], "its env file");
    assert_eq!(changed(&of(&file.replace("db:1", "db:2"), "A=1\n").1), ["db"]);
    assert_eq!(changed(&of(&file.replace("192.0.2.1", "192.0.2.9"), "A=1\n").1), Vec::<String>::new());
    release.pin(&"web".into(), &ImageRef::parse("reg:5000/web:1"), &format!("sha256:{}", "a".repeat(64)));
    assert_eq!(changed(&release), ["web"]);
    let web = &release.parts()["web"];
    let pinned = format!("reg:5000/web:1@sha256:{}", "a".repeat(64));
    assert_eq!(web.images, ["reg:5000/web-canary:3".to_owned(), pinned]);
}

/// Two services may be of one tag, each with what it meant when they were deployed.
/// A balancer is told where a part of a release differs that it stands before: one that alone has changed makes the services
/// behind it differ, and no others.
#[test]
fn balancers_are_told_by_the_parts_that_they_stand_before() {
    let file = "
__maestro: {schema: 2}
name: shop
ships: {a: {ip: 192.0.2.1}}
services:
  web: {image: 'web:1', ports: {http: 80}, instances: {web-1: {ship: a}}}
  api: {image: 'api:1', ports: {http: 81}, instances: {api-1: {ship: a}}}
  db: {image: 'db:1', ports: {sql: 5432}, instances: {db-1: {ship: a}}}
balancers:
  front: {kind: template, template: front.j2, config: /x, check: 'x {file}', reload: x, status: 91, local: true,
          listen: '127.0.0.1:90', drain: 5, routes: [{service: web, port: http}, {service: api, port: http, host: api}]}
  inner: {kind: template, template: inner.j2, config: /y, check: 'x {file}', reload: x, status: 93, local: true,
          listen: '127.0.0.1:92', drain: 7, routes: [{service: api, port: http}]}
";
    let read = |file: &str, inner: &str| {
        let generation = "{{ generation }}";
        let sources = MapSources::of(file).with_file("front.j2", generation);
        read(&sources.with_file("inner.j2", format!("{inner} {generation}")))
    };
    let (environment, release) = read(file, "inner");
    let parts = release.parts();
    let told = |other: &Release| {
        let others = other.parts();
        let services = parts.keys().filter(|name| parts.get(*name) != others.get(*name));
        let services: Vec<&ServiceName> = services.collect();
        let balancers = services.iter().flat_map(|name| environment.balancers_of(name));
        let balancers: BTreeSet<&str> = balancers.map(|balancer| balancer.name.as_str()).collect();
        let names: Vec<&str> = services.into_iter().map(ServiceName::as_str).collect();
        format!("{}: {}", names.join(" "), balancers.into_iter().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(told(&read(file, "inner").1), ": ");
    assert_eq!(told(&read(&file.replace("drain: 5", "drain: 6"), "inner").1), "api web: front inner");
    assert_eq!(told(&read(&file.replace("drain: 7", "drain: 8"), "inner").1), "api: front inner");
    assert_eq!(told(&read(file, "another").1), "api: front inner", "its template");
    assert_eq!(told(&read(&file.replace("db:1", "db:2"), "inner").1), "db: ", "nobody stands before it");
    assert_eq!(told(&read(&file.replace("web:1", "web:2"), "inner").1), "web: front");
    // One that does not lead to a service any more is none of its part.
    let less = read(&file.replace(", {service: api, port: http, host: api}", ""), "inner").1;
    assert_eq!(told(&less), "api web: front inner");
    // Whoever deploys `web` alone leaves what is only before `api` as it was deployed.
    let next = read(&file.replace("drain: 7", "drain: 8"), "inner").1;
    let composed = release.with_services_of(&next, &named(&["web"]));
    assert_eq!(told(&composed), ": ");
}

#[test]
fn services_of_several_releases_are_put_together() {
    let file = FILE.replace("{{ env.TAG }}", "1").replace("reg:5000/db:1", "reg:5000/web:1");
    let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
    let image = ImageRef::parse("reg:5000/web:1");
    let (today, mut old) = of(&file, "A=old\n");
    for service in ["db", "web"] {
        old.pin(&service.into(), &image, &digest("0"));
    }
    let (_, mut new) = of(&file.replace("requires: [db]", "requires: [db]\n    env: {B: 1}"), "A=new\n");
    new.pin(&"web".into(), &image, &digest("1"));
    let combined = old.with_services_of(&new, &named(&["web", "nobody"]));
    let environment = combined.environment(&today).unwrap();
    let found = |name: &str| environment.instances[name].image.digest().unwrap().to_owned();
    assert_eq!((found("db-1"), found("web-1")), (digest("0"), digest("1")));
    let of_web = |release: &Release| specs(&release.environment(&today).unwrap())[1..].to_vec();
    assert_eq!(of_web(&combined), of_web(&new));
    assert_eq!(combined.parts()["web"], new.parts()["web"]);
    assert_eq!(combined.parts()["db"], old.parts()["db"]);
    // And back: there is one way to say it.
    let back = combined.with_services_of(&old, &named(&["web"]));
    assert_eq!(back, old.with_services_of(&old, &named(&["db", "web"])));
    assert_eq!(back.environment(&today).unwrap(), old.environment(&today).unwrap());
    // What there was none of is gone again.
    let less = of(&file.replace("requires: [db]", "").replacen("  db:", "  x-db:", 1), "A=old\n").1;
    let gone = old.with_services_of(&less, &named(&["db"]));
    assert_eq!(gone.parts().keys().map(ServiceName::as_str).collect::<Vec<_>>(), ["web"]);
}

#[test]
fn ships_are_where_they_are_today() {
    let other = "
__maestro: {schema: 2}
name: shop
ship_defaults: {docker_port: 1234}
ships: {a: {ip: 192.0.2.9}}
services: {}
";
    let (today, moved) = of(other, "");
    let (_, release) = of(FILE, "A=1\n");
    let environment = release.on_ships_of(&moved).environment(&today).unwrap();
    assert_eq!(environment.ships["a"].ip.to_string(), "192.0.2.9");
    assert!(environment.ships["a"].transport.to_string().contains("1234"), "{:?}", environment.ships["a"]);
    // What was on a ship that is gone is out of reach.
    assert_eq!(environment.ships.len(), 1);
    assert_eq!(environment.instances.keys().map(InstanceName::as_str).collect::<Vec<_>>(), ["db-1", "web-1"]);
    assert_eq!(environment.services["web"].instances.len(), 1);
    // It was there all the same.
    let then = release.on_ships_of(&moved).environment_then(&today).unwrap();
    assert_eq!(then.instances["web-2"].ship.as_str(), "b");
    assert_eq!(
        (then.ships["a"].ip.to_string(), then.services["web"].instances.len()),
        ("192.0.2.9".into(), 2)
    );
}

/// Services that were deployed before may be on ships that the file has no more.
#[test]
fn a_release_that_is_put_together_has_all_its_ships() {
    let (both, before) = of(FILE, "A=1\n");
    let file = FILE.replace(", b: {ip: 192.0.2.2}", "").replace("ship: b", "ship: a");
    let (_, today) = of(&file, "A=1\n");
    let composed = today.and_ships_of(&before).with_services_of(&before, &named(&["web"]));
    let environment = composed.environment(&both).unwrap();
    assert_eq!(environment.instances["web-2"].ship.as_str(), "b");
    assert_eq!(today.and_ships_of(&today), today);
}

/// Names are kept, values are not; where values come from is what today's file says, as long as it says so.
#[test]
fn secrets_are_kept_by_their_names() {
    let of = |secrets: &str, web: &str, db: &str| {
        let text = format!(
            "name: shop\nships: {{a: {{ip: 192.0.2.1}}}}\nsecrets: {{{secrets}}}\nservices:\n  \
             web: {{image: web, env: {{P: !secret {web}}}, instances: {{web-1: {{ship: a}}}}}}\n  \
             db: {{image: db, env: {{P: !secret {db}}}, instances: {{db-1: {{ship: a}}}}}}\n"
        );
        read(&MapSources::of(text).with_variable("A", "hunter2").with_variable("B", "hunter2"))
    };
    let (_, old) = of("a: {env: A}, b: {env: B}", "a", "b");
    let kept = String::from_utf8(old.to_bytes()).unwrap();
    assert!(!kept.contains("hunter2") && kept.contains("!secret"), "{kept}");
    let (today, new) = of("a: {file: /run/a}, c: {env: C}", "a", "c");
    let source = |environment: &Environment, name: &str| {
        let secret = &environment.secrets[name];
        format!("{} in {}", secret.source, secret.place)
    };
    let old = Release::from_bytes(&old.to_bytes()).unwrap();
    let again = old.environment(&today).unwrap();
    assert_eq!(source(&again, "a"), "the file /run/a in maestro.yaml:3");
    assert_eq!(source(&again, "b"), "the variable B in an earlier release");
    // A service brings along what it needs.
    let mixed = new.with_services_of(&old, &[ServiceName::from("db")].into());
    let mixed = mixed.environment(&today).unwrap();
    assert_eq!(source(&mixed, "b"), "the variable B in an earlier release");
    let all: Vec<InstanceName> = mixed.instances.keys().cloned().collect();
    assert_eq!(mixed.secrets_of_containers(&all), ["a".into(), "b".into()].into());
    // Another source is no other release of a service; another name is.
    let moved = of("a: {command: pass}, b: {env: B}", "a", "b").1;
    assert_eq!(moved.parts(), old.parts());
    assert_ne!(of("a: {env: A}, b: {env: B}", "b", "b").1.parts(), old.parts());
}
