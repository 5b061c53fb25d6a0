//! Who waits for whom, with auditors that take their time.

use super::*;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use maestro_core::model::Level;
use maestro_core::notification::{Audited, Moment, What};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(10);

/// Writes down what it is told after a while, or fails then.
#[derive(Clone, Default)]
struct Slow {
    takes: Duration,
    fails: bool,
    told: Arc<Mutex<Vec<String>>>,
}

impl Slow {
    fn taking(seconds: u64) -> Self {
        Self { takes: Duration::from_secs(seconds), ..Self::default() }
    }

    fn failing(self) -> Self {
        Self { fails: true, ..self }
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    fn listed(&self, ignore_errors: bool) -> Listed {
        let channel = Channel::Log { file: "audit.log".into() };
        let settings = Arc::new(model::Auditor { level: Level::Debug, ignore_errors, channel });
        Listed { settings, auditor: Arc::new(self.clone()), limit: LIMIT }
    }
}

impl Auditor for Slow {
    fn tell<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), Undelivered>> {
        async {
            sleep(self.takes).await;
            if self.fails {
                return Err(Undelivered("no".to_owned()));
            }
            self.told.lock().unwrap().push(notification.log_line().text);
            Ok(())
        }
        .boxed()
    }
}

fn notification(name: &str) -> Notification {
    let one =
        Audited { instance: name.into(), service: "s".into(), ship: "a".into(), ip: "192.0.2.1".into() };
    Notification { action: "start", what: What::Task(one), moment: Moment::Begins, who: "ops".into() }
}

fn auditors(all: Vec<Listed>) -> Auditors {
    Auditors { all }
}

async fn announce(all: Vec<Listed>) -> (Result<Audience, Vec<Missed>>, Duration) {
    let begin = Instant::now();
    let (audience, missed) = auditors(all).announce(&notification("all"), 100).await;
    let took = begin.elapsed();
    (if missed.is_empty() { Ok(audience) } else { Err(missed) }, took)
}

#[tokio::test(start_paused = true)]
async fn all_are_told_at_the_same_time() {
    let (one, other) = (Slow::taking(3), Slow::taking(4));
    let (audience, took) = announce(vec![one.listed(false), other.listed(false)]).await;
    assert!(audience.is_ok());
    assert_eq!(took, Duration::from_secs(4));
    assert_eq!(
        (one.told(), other.told()),
        (vec!["ops is starting all.".into()], vec!["ops is starting all.".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_whose_errors_are_ignored() {
    let (ignored, needed) = (Slow::taking(9).failing(), Slow::taking(1));
    let (audience, took) = announce(vec![ignored.listed(true), needed.listed(false)]).await;
    assert_eq!(took, Duration::from_secs(1));
    let mut audience = audience.unwrap_or_else(|missed| panic!("{missed:?}"));
    audience.close(Duration::MAX).await;
    assert_eq!(audience.missed(), []);
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_told_is_named() {
    let (dead, alive) = (Slow::taking(1).failing(), Slow::taking(2));
    let (audience, took) =
        announce(vec![dead.listed(false), alive.listed(false), Slow::taking(999).listed(false)]).await;
    let missed = audience.err().unwrap();
    assert_eq!(took, LIMIT + GRACE);
    let reasons: Vec<_> = missed.iter().map(|one| one.because.as_deref().unwrap()).collect();
    assert_eq!(reasons, ["no", "it took longer than 10 s"]);
    assert_eq!(missed[0].auditor, "the log auditor (audit.log)");
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_told_in_order_and_delays_nothing() {
    let slow = Slow::taking(1);
    let (audience, _) = announce(vec![slow.listed(true)]).await;
    let mut audience = audience.unwrap_or_else(|missed| panic!("{missed:?}"));
    let begin = Instant::now();
    for name in ["a", "b", "c"] {
        audience.tell(&notification(name));
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    audience.close(Duration::MAX).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(4));
    let names = ["all", "a", "b", "c"].map(|name| format!("ops is starting {name}."));
    assert_eq!(slow.told(), names);
}

#[tokio::test(start_paused = true)]
async fn the_end_comes_although_there_is_more_to_tell() {
    for (patience, waited) in
        [(Duration::MAX, LIMIT + GRACE), (Duration::from_secs(1), Duration::from_secs(1))]
    {
        let (slow, quick, hung) = (Slow::taking(4), Slow::taking(0), Slow::taking(0));
        let mut audience = Audience::nobody();
        let hangs = Listed { auditor: Arc::new(Slow::taking(999)), ..hung.listed(false) };
        for one in [slow.listed(false), quick.listed(false), hangs] {
            audience.members.push(Member::new(one, 9));
        }
        for name in ["a", "b", "c", "d"] {
            audience.tell(&notification(name));
        }
        let begin = Instant::now();
        audience.close(patience).await;
        assert_eq!(begin.elapsed(), waited);
        let counts: Vec<usize> = audience.missed().iter().map(|missed| missed.count).collect();
        assert_eq!(counts, if patience == Duration::MAX { [2, 4] } else { [4, 4] });
        assert_eq!(quick.told().len(), 4);
    }
}

/// A command that may not begin leaves no request and no program behind.
#[tokio::test(start_paused = true)]
async fn what_is_given_up_is_not_told_later() {
    let (ignored, dead) = (Slow::taking(5), Slow::taking(1).failing());
    let (audience, _) = announce(vec![ignored.listed(true), dead.listed(false)]).await;
    assert!(audience.is_err());
    let slow = Slow::taking(5);
    let (audience, _) = announce(vec![slow.listed(true)]).await;
    drop(audience);
    sleep(LIMIT).await;
    assert_eq!((ignored.told().len(), slow.told().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_and_the_rest_is_told() {
    let dead = Slow::taking(2).failing();
    let mut audience = Audience::nobody();
    audience.members.push(Member::new(dead.listed(false), 9));
    audience.tell(&notification("a"));
    audience.tell(&notification("b"));
    audience.close(Duration::MAX).await;
    let name = "the log auditor (audit.log)".to_owned();
    assert_eq!(audience.missed(), [Missed { auditor: name, count: 2, because: Some("no".into()) }]);
}

/// Room is made for all that there can be; more is counted, and never waited for.
#[tokio::test(start_paused = true)]
async fn what_there_is_no_room_for_is_missed() {
    let slow = Slow::taking(1);
    let mut audience = Audience::nobody();
    audience.members.push(Member::new(slow.listed(false), 2));
    for name in ["a", "b", "c", "d"] {
        audience.tell(&notification(name));
    }
    audience.close(Duration::MAX).await;
    assert_eq!(slow.told().len(), 2);
    assert_eq!(audience.missed().iter().map(|missed| missed.count).sum::<usize>(), 2);
}
