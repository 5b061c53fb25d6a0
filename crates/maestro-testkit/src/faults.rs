//! What goes wrong on a pretended engine, and when. Deterministic: the same seed and the same calls give the same
//! faults.

use std::time::Duration;

/// What is asked of an engine; one request of the Engine API, or one observation of [`crate::fake_engine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Reads: the list of containers, with everything else that an observation needs.
    Observe,
    /// Reads: one container, or who the engine is.
    Inspect,
    /// Reads: the images.
    Images,
    /// Reads: a container's output.
    Logs,
    /// Reads: what happens.
    Events,
    /// A login at a registry.
    Login,
    /// Reads: what an image is in its registry.
    Resolve,
    /// A pull.
    Pull,
    /// A new container.
    Create,
    /// A start.
    Start,
    /// A stop.
    Stop,
    /// A kill.
    Kill,
    /// A removal.
    Remove,
    /// The removal of an image.
    RemoveImage,
    /// A rename.
    Rename,
    /// A change of a container's limits.
    Update,
    /// Files put into a container.
    Put,
    /// Reads: files of a container.
    Get,
    /// A program in a container.
    Exec,
}

impl Operation {
    /// Whether it changes containers or images. Logins and programs in containers don't count.
    pub fn is_write(self) -> bool {
        match self {
            Operation::Pull
            | Operation::Create
            | Operation::Start
            | Operation::Stop
            | Operation::Kill
            | Operation::Remove
            | Operation::RemoveImage
            | Operation::Rename
            | Operation::Update
            | Operation::Put => true,
            Operation::Observe
            | Operation::Inspect
            | Operation::Images
            | Operation::Logs
            | Operation::Events
            | Operation::Login
            | Operation::Resolve
            | Operation::Get
            | Operation::Exec => false,
        }
    }

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Observe => "observe",
            Operation::Inspect => "inspect",
            Operation::Images => "images",
            Operation::Logs => "logs",
            Operation::Events => "events",
            Operation::Login => "login",
            Operation::Resolve => "resolve",
            Operation::Pull => "pull",
            Operation::Create => "create",
            Operation::Start => "start",
            Operation::Stop => "stop",
            Operation::Kill => "kill",
            Operation::Remove => "remove",
            Operation::RemoveImage => "remove image",
            Operation::Rename => "rename",
            Operation::Update => "update",
            Operation::Put => "put",
            Operation::Get => "get",
            Operation::Exec => "exec",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No connection.
    Unreachable,
    /// The connection stands and nothing comes.
    Hangs,
    /// It is done, and the answer takes this much longer.
    Slow(Duration),
    /// The engine answers this and does nothing.
    Refused(u16, String),
    /// The engine answers this although it did what was asked.
    DoneButRefused(u16, String),
    /// The connection breaks before anything is done.
    Lost,
    /// It is done, and the connection breaks before the answer.
    DoneButLost,
    /// As [`Fault::DoneButLost`], and from then on nobody is there.
    Dies,
    /// The login is not accepted.
    BadLogin,
}

/// Which calls a fault is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// All.
    Any,
    /// Those that change something.
    Writes,
    /// These.
    Only(Operation),
}

/// Which of those calls it hits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum When {
    /// All.
    Always,
    /// The one with this number, from 1.
    Nth(u64),
    /// Those from this number on.
    From(u64),
    /// Each with this probability.
    Chance(f64),
    /// Those that come while the engine is down: it is up for the first time, down for the second, and so on, and
    /// begins at the third.
    Phase(Duration, Duration, Duration),
    /// Those that come in this span of time since the fleet's start.
    Between(Duration, Duration),
}

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which calls it is about.
    pub on: On,
    /// Which of them it hits.
    pub when: When,
    /// What happens.
    pub fault: Fault,
    seen: u64,
}

/// All that goes wrong on one engine. The first rule that hits a call decides.
#[derive(Debug, Clone)]
pub struct Faults {
    rules: Vec<Rule>,
    random: fastrand::Rng,
    dead: bool,
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

impl Faults {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self { rules: Vec::new(), random: fastrand::Rng::with_seed(0), dead: false }
    }

    /// Makes [`When::Chance`] follow this seed.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.random = fastrand::Rng::with_seed(seed);
        self
    }

    /// One more thing that goes wrong.
    #[must_use]
    pub fn and(mut self, on: On, when: When, fault: Fault) -> Self {
        self.rules.push(Rule { on, when, fault, seen: 0 });
        self
    }

    /// The engine cannot be reached.
    pub fn unreachable() -> Self {
        Self::none().and(On::Any, When::Always, Fault::Unreachable)
    }

    /// The engine accepts connections and never answers.
    pub fn hung() -> Self {
        Self::none().and(On::Any, When::Always, Fault::Hangs)
    }

    /// Every answer takes this much longer.
    pub fn slow(by: Duration) -> Self {
        Self::none().and(On::Any, When::Always, Fault::Slow(by))
    }

    /// One call of a kind is refused.
    pub fn refuses_nth(operation: Operation, nth: u64, status: u16, message: &str) -> Self {
        let fault = Fault::Refused(status, message.to_owned());
        Self::none().and(On::Only(operation), When::Nth(nth), fault)
    }

    /// The first create answers 500 although the container is there.
    pub fn create_succeeds_with_500() -> Self {
        let fault = Fault::DoneButRefused(500, "context deadline exceeded".to_owned());
        Self::none().and(On::Only(Operation::Create), When::Nth(1), fault)
    }

    /// The answer to this call of a kind gets lost although it is done.
    pub fn loses_answer(operation: Operation, nth: u64) -> Self {
        Self::none().and(On::Only(operation), When::Nth(nth), Fault::DoneButLost)
    }

    /// The engine dies while it carries out this write: that one is done, its answer is lost, and then nobody
    /// is there. (Reads before it still work.)
    pub fn dies_at_write(nth: u64) -> Self {
        Self::none().and(On::Writes, When::Nth(nth), Fault::Dies)
    }

    /// The engine comes and goes; the seed says where in its rhythm it begins.
    pub fn flaps(up: Duration, down: Duration, seed: u64) -> Self {
        let shift = (up + down).mul_f64(fastrand::Rng::with_seed(seed).f64());
        Self::none().and(On::Any, When::Phase(up, down, shift), Fault::Unreachable)
    }

    /// No login is accepted.
    pub fn wrong_password() -> Self {
        Self::none().and(On::Only(Operation::Login), When::Always, Fault::BadLogin).and(
            On::Only(Operation::Pull),
            When::Always,
            Fault::BadLogin,
        )
    }

    /// No registry has any image.
    pub fn missing_image() -> Self {
        let missing = Fault::Refused(404, "manifest unknown: manifest unknown".to_owned());
        Self::none().and(On::Only(Operation::Pull), When::Always, missing)
    }

    /// The disk is full: nothing can be pulled or made.
    pub fn full_disk() -> Self {
        let full = || Fault::Refused(500, "no space left on device".to_owned());
        Self::none().and(On::Only(Operation::Pull), When::Always, full()).and(
            On::Only(Operation::Create),
            When::Always,
            full(),
        )
    }

    /// Something, chosen by the seed; nothing for seven seeds in twenty.
    pub fn any(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let nth = random.u64(1..4);
        let operation = *random
            .choice(&[
                Operation::Create,
                Operation::Start,
                Operation::Stop,
                Operation::Remove,
                Operation::Pull,
            ])
            .unwrap_or(&Operation::Create);
        let faults = match random.u8(0..20) {
            0 => Self::unreachable(),
            1 => Self::hung(),
            2 => Self::slow(Duration::from_millis(random.u64(10..3_000))),
            3 => Self::refuses_nth(operation, nth, 500, "something broke"),
            4 => Self::refuses_nth(operation, nth, 409, "something is in the way"),
            5 => Self::refuses_nth(operation, nth, 503, "try again later"),
            6 => Self::create_succeeds_with_500(),
            7 => Self::loses_answer(operation, nth),
            8 => Self::dies_at_write(nth),
            9 => Self::flaps(Duration::from_secs(20), Duration::from_secs(5), seed),
            10 => Self::wrong_password(),
            11 => Self::full_disk(),
            12 => Self::missing_image(),
            _ => Self::none(),
        };
        faults.seeded(seed)
    }

    /// What happens to a call that comes so long after the fleet's start; none if it is carried out.
    pub fn decide(&mut self, operation: Operation, elapsed: Duration) -> Option<Fault> {
        if self.dead {
            return Some(Fault::Unreachable);
        }
        for rule in &mut self.rules {
            let about = match rule.on {
                On::Any => true,
                On::Writes => operation.is_write(),
                On::Only(only) => only == operation,
            };
            if !about {
                continue;
            }
            rule.seen += 1;
            let hit = match rule.when {
                When::Nth(nth) => rule.seen == nth,
                When::From(nth) => rule.seen >= nth,
                When::Chance(probability) => self.random.f64() < probability,
                When::Always | When::Phase(..) | When::Between(..) => rule.when.covers(elapsed),
            };
            if hit {
                self.dead = rule.fault == Fault::Dies;
                return Some(rule.fault.clone());
            }
        }
        None
    }

    /// Whether nobody may ever be there.
    pub fn may_go_down(&self) -> bool {
        self.dead || self.rules.iter().any(|r| matches!(r.fault, Fault::Unreachable | Fault::Dies))
    }

    /// Whether nobody is there, so long after the fleet's start: streams end then.
    pub fn is_down(&self, elapsed: Duration) -> bool {
        self.dead
            || self
                .rules
                .iter()
                .any(|r| r.on == On::Any && r.fault == Fault::Unreachable && r.when.covers(elapsed))
    }
}

impl When {
    /// Whether it hits every call at that time.
    fn covers(self, elapsed: Duration) -> bool {
        match self {
            When::Always => true,
            When::Phase(up, down, shift) => {
                let period = (up + down).as_nanos().max(1);
                (elapsed + shift).as_nanos() % period >= up.as_nanos()
            }
            When::Between(from, to) => (from..to).contains(&elapsed),
            When::Nth(_) | When::From(_) | When::Chance(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let run = |seed| {
            let mut faults = Faults::none().seeded(seed).and(On::Any, When::Chance(0.3), Fault::Lost);
            (0..64).map(|_| faults.decide(Operation::Start, Duration::ZERO).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn an_engine_dies_once_and_for_all() {
        let mut faults = Faults::dies_at_write(2);
        let mut ask = |operation| faults.decide(operation, Duration::ZERO);
        assert_eq!(ask(Operation::Observe), None);
        assert_eq!(ask(Operation::Create), None);
        assert_eq!(ask(Operation::Start), Some(Fault::Dies));
        assert_eq!(ask(Operation::Observe), Some(Fault::Unreachable));
        assert!(faults.is_down(Duration::ZERO));
    }

    #[test]
    fn a_flapping_engine_comes_back() {
        let mut faults = Faults::flaps(Duration::from_secs(2), Duration::from_secs(1), 3);
        let mut up = 0;
        for second in 0..30 {
            let fault = faults.decide(Operation::Observe, Duration::from_secs(second));
            assert_eq!(fault.is_some(), faults.is_down(Duration::from_secs(second)));
            up += usize::from(fault.is_none());
        }
        assert_eq!(up, 20);
    }
}
