//! A release that is no good, on some instances or all: what its policy says becomes of it, and what serves goes on.

use super::site::Site;
use futures_util::future::join_all;
use maestro_core::fleet::Platform;
use maestro_core::image::ImageRef;
use maestro_testkit::fleet::usual_behaviour;
use maestro_testkit::state::Content;
use std::fmt::Write as _;

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    /// Its check never answers.
    Never,
    /// It is well at first, and dies while it is watched.
    Later,
    /// No registry has it.
    Missing,
    /// It is for other machines.
    Elsewhere,
}

impl Bad {
    fn tag(self) -> &'static str {
        match self {
            Bad::Never => "never-3",
            Bad::Later => "fleeting-3",
            Bad::Missing => "missing-3",
            Bad::Elsewhere => "elsewhere-3",
        }
    }
}

/// How instances are replaced: beside what serves, or in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    StartFirst,
    StopFirst,
}

/// Three instances with images of these tags.
fn file(tags: [&str; 3], how: How, policy: &str) -> String {
    let mut text = format!(
        "
  web:
    image: shop/web:2.0
    deploy: {{strategy: rolling, max_unavailable: {}, bake: 3s, on_failure: {policy}}}
    lifecycle:
      running: [{{type: exec, command: \"/bin/sh -c '[ $DOCKER_TAG != never-3 ]'\", attempts: 2}}]
    instances:
",
        u8::from(how == How::StopFirst)
    );
    for (number, tag) in (1..).zip(tags) {
        let ship = if number == 2 { "pacific" } else { "atlantic" };
        let port = if how == How::StartFirst { "18080-18089".to_owned() } else { format!("1808{number}") };
        writeln!(
            text,
            "      web-{number}: {{ship: {ship}, image: 'shop/web:{tag}', stop_timeout: 1, ports: {{http: '8080:{port}'}}}}"
        )
        .unwrap();
    }
    text
}

async fn deployed(bad: Bad, count: usize, policy: &'static str, how: How) {
    let case = format!("{bad:?} on {count} of 3, {policy}, {how:?}");
    let tags = |good: &'static str| std::array::from_fn(|i| if i + count < 3 { good } else { bad.tag() });
    let site = Site::new(&file(["2.0"; 3], how, policy));
    site.run("deploy").await.ok();
    let next = file(tags("3.0"), how, policy);
    site.write(&next);
    match bad {
        Bad::Missing => site.registries.withdraw("shop/web:missing-3"),
        Bad::Elsewhere => {
            let image = ImageRef::parse("shop/web:elsewhere-3");
            let other = Platform::new("linux", "arm64");
            site.registries
                .push(image.as_str(), &Content::of(&image, usual_behaviour(&image)).with_platform(other));
        }
        Bad::Never | Bad::Later => {}
    }
    let ids = |site: &Site| {
        ["web-1", "web-2", "web-3"].map(|name| {
            let found = site.atlantic.container(name).or_else(|| site.pacific.container(name));
            found.map(|container| container.id.as_str().to_owned())
        })
    };
    let (before, refused) = (ids(&site), matches!(bad, Bad::Missing | Bad::Elsewhere));
    site.clear_writes();
    let ran = site.run("deploy --yes").await;
    let said = format!("{case}: {}", ran.all());
    let images =
        || ["web-1", "web-2", "web-3"].map(|name| site.image(name).rsplit_once(':').unwrap().0.to_owned());
    let state = || ["web-1", "web-2", "web-3"].map(|name| site.state(name));
    let good = 3 - count;
    if refused {
        assert_eq!(ran.code, 1, "{said}");
        assert!(site.changes().is_empty(), "{said}\n{:?}", site.changes());
        assert_eq!(ids(&site), before, "{said}");
        assert!(ran.stderr.contains(bad.tag()), "{said}");
        return;
    }
    let is_new = |number: usize| images()[number].contains("3.0");
    match policy {
        "rollback" => {
            assert_eq!(ran.code, 4, "{said}");
            assert!(ran.stderr.contains("everything is as in release 1 again"), "{said}");
            assert!((0..3).all(|number| images()[number].contains("2.0")), "{said}");
            assert_eq!(ids(&site), before, "the containers of the release that it went back to: {said}");
        }
        "pause" => {
            assert_eq!(ran.code, 3, "{said}");
            assert!(ran.stderr.contains("the deployment is not finished"), "{said}");
            assert!((0..good).all(is_new), "{said}");
        }
        _ => {
            assert_eq!(ran.code, 3, "{said}");
            assert!((0..good).all(is_new), "{said}");
        }
    }
    // What failed first is the last one that was touched, but for where the others are to go on.
    let changes = site.changes();
    let stopped = |number: usize| {
        let name = format!("web-{}", number + 1);
        changes.iter().any(|change| change.starts_with("stop") && change.ends_with(&format!(" {name}")))
    };
    if policy != "continue" {
        assert!((good + 1..3).all(|number| !stopped(number)), "{said}\n{changes:?}");
    }
    if how == How::StartFirst {
        assert!((good..3).all(|number| !stopped(number)), "what serves serves on: {said}\n{changes:?}");
        assert_eq!(state(), ["running"; 3], "{said}");
    }
    if policy != "rollback" {
        site.run("abort --yes").await.ok().says("everything is as in release 1 again");
        assert_eq!((ids(&site), state()), (before, ["running"; 3]), "{case}");
    }
    site.write(&file(["2.0"; 3], how, policy));
    site.run("plan deploy --detailed-exitcode").await.exits(0);
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
}

async fn all(bad: Bad) {
    let mut cases = Vec::new();
    for count in 1..=3 {
        for policy in ["rollback", "pause", "continue"] {
            for how in [How::StartFirst, How::StopFirst] {
                cases.push(deployed(bad, count, policy, how));
            }
        }
    }
    join_all(cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_answers() {
    all(Bad::Never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_while_it_is_watched() {
    all(Bad::Later).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_registry_has() {
    all(Bad::Missing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_other_machines() {
    all(Bad::Elsewhere).await;
}
