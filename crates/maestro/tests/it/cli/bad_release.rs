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
    /// The same, and its engine starts it again.
    Again,
    /// No registry has it.
    Missing,
    /// It is for other machines.
    Elsewhere,
}

impl Bad {
    fn tag(self) -> &'static str {
        match self {
            Bad::Never => "never-3",
            Bad::Later | Bad::Again => "fleeting-3",
            Bad::Missing => "missing-3",
            Bad::Elsewhere => "elsewhere-3",
        }
    }
}

/// How instances are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// One after another, beside what serves.
    StartFirst,
    /// One after another, in its place.
    StopFirst,
    BlueGreen,
    Canary,
    Recreate,
}

impl How {
    fn strategy(self) -> &'static str {
        match self {
            How::StartFirst => "strategy: rolling, max_unavailable: 0",
            How::StopFirst => "strategy: rolling, max_unavailable: 1",
            How::BlueGreen => "strategy: blue-green",
            How::Canary => "strategy: canary, max_unavailable: 0, pause: 1s",
            How::Recreate => "strategy: recreate",
        }
    }

    /// Whether what serves goes on while its replacement is tried.
    fn is_beside(self) -> bool {
        !matches!(self, How::StopFirst | How::Recreate)
    }
}

const NAMES: [&str; 3] = ["web-1", "web-2", "web-3"];

/// Three instances on three ships, with images of these tags.
fn file(bad: Bad, tags: [&str; 3], how: How, policy: &str) -> String {
    let restart = if bad == Bad::Again { "always" } else { "no" };
    let mut text = format!(
        "
  web:
    image: shop/web:2.0
    deploy: {{{}, bake: 3s, on_failure: {policy}}}
    lifecycle:
      running: [{{type: exec, command: \"/bin/sh -c '[ $DOCKER_TAG != never-3 ]'\", attempts: 2}}]
    instances:
",
        how.strategy()
    );
    for ((name, tag), ship) in NAMES.iter().zip(tags).zip(["atlantic", "pacific", "arctic"]) {
        let port = if how.is_beside() { "18080-18089" } else { "18080" };
        writeln!(
            text,
            "      {name}: {{ship: {ship}, image: 'shop/web:{tag}', stop_timeout: 1, restart: '{restart}', ports: {{http: '8080:{port}'}}}}"
        )
        .unwrap();
    }
    text
}

async fn deployed(bad: Bad, count: usize, policy: &'static str, how: How) {
    let case = format!("{bad:?} on {count} of 3, {policy}, {how:?}");
    let tags = |good: &'static str| std::array::from_fn(|i| if i + count < 3 { good } else { bad.tag() });
    let site = Site::of_three(&file(bad, ["2.0"; 3], how, policy), "");
    site.run("deploy").await.ok();
    let next = file(bad, tags("3.0"), how, policy);
    site.write(&next);
    match bad {
        Bad::Missing => site.registries.withdraw("shop/web:missing-3"),
        Bad::Elsewhere => {
            let image = ImageRef::parse("shop/web:elsewhere-3");
            let other = Platform::new("linux", "arm64");
            site.registries
                .push(image.as_str(), &Content::of(&image, usual_behaviour(&image)).with_platform(other));
        }
        Bad::Never | Bad::Later | Bad::Again => {}
    }
    let ids = |site: &Site| NAMES.map(|name| site.id(name));
    let (before, refused) = (ids(&site), matches!(bad, Bad::Missing | Bad::Elsewhere));
    site.clear_writes();
    let ran = site.run("deploy --yes").await;
    let said = format!("{case}: {}", ran.all());
    let is_of = |number: usize, tag: &str| site.image(NAMES[number]).contains(&format!("web:{tag}"));
    let state = || NAMES.map(|name| site.state(name));
    let good = 3 - count;
    if refused {
        assert_eq!(ran.code, 1, "{said}");
        assert!(site.changes().is_empty(), "{said}\n{:?}", site.changes());
        assert_eq!(ids(&site), before, "{said}");
        assert!(ran.stderr.contains(bad.tag()), "{said}");
        return;
    }
    if policy == "rollback" {
        assert_eq!(ran.code, 4, "{said}");
        assert!(ran.stderr.contains("everything is as in release 1 again"), "{said}");
        assert_eq!(ids(&site), before, "the containers of the release that it went back to: {said}");
        assert_eq!(state(), ["running"; 3], "{said}");
    } else {
        assert_eq!(ran.code, 3, "{said}");
        assert!(ran.stderr.contains("the deployment is not finished"), "{said}");
        // Nobody takes over before all have been proved, where they take over together.
        let tag = if how == How::BlueGreen { "2.0" } else { "3.0" };
        let is_well = |number: usize| is_of(number, tag) && state()[number] == "running";
        assert!((0..good).all(is_well), "{said}");
    }
    let changes = site.changes();
    let stopped = |number: usize| {
        changes
            .iter()
            .any(|change| change.starts_with("stop") && change.ends_with(&format!(" {}", NAMES[number])))
    };
    let touched = |number: usize| {
        changes.iter().any(|change| !change.starts_with("pull") && change.contains(NAMES[number]))
    };
    // What failed first is the last one that was touched, but where others are to go on, or all go at once.
    let all_at_once = matches!(how, How::BlueGreen | How::Recreate);
    if policy != "continue" && !all_at_once {
        assert!((good + 1..3).all(|number| !touched(number)), "{said}\n{changes:?}");
    }
    // Nobody follows canaries that are no good, whatever the policy.
    if how == How::Canary && count == 3 {
        assert!(!touched(1) && !touched(2), "{said}\n{changes:?}");
    }
    if how.is_beside() {
        let first = if how == How::BlueGreen { 0 } else { good };
        assert!((first..3).all(|number| !stopped(number)), "what serves serves on: {said}\n{changes:?}");
        assert!((first..3).all(|number| is_of(number, "2.0")), "{said}");
        assert_eq!(state(), ["running"; 3], "{said}");
    }
    if policy != "rollback" {
        site.run("abort --yes").await.ok().says("everything is as in release 1 again");
        assert_eq!((ids(&site), state()), (before, ["running"; 3]), "{case}");
    }
    site.write(&file(bad, ["2.0"; 3], how, policy));
    site.run("plan deploy --detailed-exitcode").await.exits(0);
    site.run("resume --yes").await.exits(1).says("no deployment is unfinished");
}

async fn all(bad: Bad, hows: &[How]) {
    let mut cases = Vec::new();
    for count in 1..=3 {
        for policy in ["rollback", "pause", "continue"] {
            for how in hows {
                cases.push(deployed(bad, count, policy, *how));
            }
        }
    }
    join_all(cases).await;
}

const ROLLING: [How; 2] = [How::StartFirst, How::StopFirst];
const OTHERS: [How; 3] = [How::BlueGreen, How::Canary, How::Recreate];

#[tokio::test(flavor = "multi_thread")]
async fn what_never_answers() {
    all(Bad::Never, &ROLLING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_answers_of_all_or_of_the_first() {
    all(Bad::Never, &OTHERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_while_it_is_watched() {
    all(Bad::Later, &ROLLING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_while_it_is_watched_of_all_or_of_the_first() {
    all(Bad::Later, &OTHERS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_dies_again_and_again() {
    all(Bad::Again, &[How::StartFirst, How::StopFirst, How::BlueGreen]).await;
}

/// It may have waited for somebody: ten seconds tell.
#[tokio::test(flavor = "multi_thread")]
async fn what_stays_up_when_it_is_started_again_is_well() {
    let how = How::StartFirst;
    let site = Site::of_three(&file(Bad::Again, ["2.0"; 3], how, "rollback"), "");
    site.run("deploy").await.ok();
    site.write(&file(Bad::Again, ["3.0", "3.0", "stumbling-3"], how, "rollback"));
    site.run("deploy --yes").await.ok().says("3 deployed");
    site.run("plan --detailed-exitcode").await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_registry_has() {
    all(Bad::Missing, &ROLLING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_other_machines() {
    all(Bad::Elsewhere, &ROLLING).await;
}
