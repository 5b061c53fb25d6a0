//! How services of random environments are brought from one release to the next.

use proptest::prelude::*;

/// A `deploy:` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployLayout {
    /// How.
    pub strategy: StrategyLayout,
    /// For so many seconds what is new has to stay well.
    pub bake: Option<u8>,
    /// What follows when it fails.
    pub on_failure: Option<&'static str>,
}

/// A strategy, with its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrategyLayout {
    /// All at once.
    Recreate,
    /// A few at a time.
    Rolling(PaceLayout),
    /// All together.
    BlueGreen,
    /// Some first.
    Canary {
        /// How many are replaced at a time.
        pace: PaceLayout,
        /// How many are tried first.
        canaries: Option<&'static str>,
        /// After so many seconds the others follow; none if somebody has to say so.
        pause: Option<u8>,
    },
}

/// How many are replaced at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceLayout {
    /// How many may be down.
    pub max_unavailable: Option<&'static str>,
    /// How many may be there twice.
    pub max_surge: Option<&'static str>,
}

impl DeployLayout {
    /// As the file has it, for a service of which there can be two of each instance, or not.
    pub(super) fn yaml(self, is_single: bool) -> String {
        let mut keys = Vec::new();
        let mut key = |key: &str, value: Option<String>| keys.extend(value.map(|v| format!("{key}: {v}")));
        let strategy = match self.strategy {
            // Where there cannot be two, the file must not ask for it.
            StrategyLayout::BlueGreen if is_single => {
                StrategyLayout::Rolling(PaceLayout { max_unavailable: None, max_surge: None })
            }
            strategy => strategy,
        };
        let (name, pace) = match strategy {
            StrategyLayout::Recreate => ("recreate", None),
            StrategyLayout::Rolling(pace) => ("rolling", Some(pace)),
            StrategyLayout::BlueGreen => ("blue-green", None),
            StrategyLayout::Canary { pace, canaries, pause } => {
                key("canaries", canaries.map(str::to_owned));
                key("pause", pause.map(|seconds| format!("{seconds}s")));
                ("canary", Some(pace))
            }
        };
        if let Some(PaceLayout { max_unavailable, max_surge }) = pace {
            let is_stuck = |down: &str| down == "0" && (is_single || max_surge == Some("0"));
            let down = max_unavailable.map(|down| if is_stuck(down) { "1" } else { down });
            key("max_unavailable", down.map(str::to_owned));
            key("max_surge", max_surge.map(str::to_owned));
        }
        key("strategy", Some(name.to_owned()));
        key("bake", self.bake.map(|seconds| format!("{seconds}s")));
        key("on_failure", self.on_failure.map(str::to_owned));
        keys.join(", ")
    }
}

/// Any of them.
pub(super) fn sections() -> impl Strategy<Value = DeployLayout> {
    let share = || prop::option::of(prop::sample::select(vec!["0", "1", "2", "50%"]));
    let pace =
        (share(), share()).prop_map(|(max_unavailable, max_surge)| PaceLayout { max_unavailable, max_surge });
    let canaries = prop::option::of(prop::sample::select(vec!["1", "2", "50%"]));
    let pause = prop::option::weighted(0.3, 1..4u8);
    let canary = (pace.clone(), canaries, pause).prop_map(|(pace, canaries, pause)| StrategyLayout::Canary {
        pace,
        canaries,
        pause,
    });
    let strategy = prop_oneof![
        1 => Just(StrategyLayout::Recreate),
        3 => pace.prop_map(StrategyLayout::Rolling),
        2 => Just(StrategyLayout::BlueGreen),
        3 => canary,
    ];
    let remedy = prop::option::of(prop::sample::select(vec!["rollback", "pause", "continue"]));
    (strategy, prop::option::weighted(0.3, 1..4u8), remedy)
        .prop_map(|(strategy, bake, on_failure)| DeployLayout { strategy, bake, on_failure })
}
