use super::*;
use futures_util::future::BoxFuture;
use maestro_core::balance::RouteChange;
use maestro_core::config::{Limits, load};
use maestro_core::fleet::FleetSnapshot;
use maestro_core::plan::{Intent, Limits as PlanLimits};
use maestro_core::planner::plan;
use maestro_core::select::{Selector, select};
use maestro_core::source::MapSources;
use maestro_testkit::front_end::MemoryFrontEnd;
use std::sync::atomic::{AtomicUsize, Ordering};

fn environment() -> Environment {
    let text = "name: t\nships: {a: {ip: 192.0.2.1}}\nservices:\n  web: {image: w, ports: {http: 80}, instances: \
                {web-1: {ship: a}, web-2: {ship: a, ports: {http: '80:81'}}}}\nbalancers:\n  front: {kind: haproxy, hosts: \
                [x, y], routes: [{service: web, port: http}]}\n";
    let loaded = load(&MapSources::of(text), &Limits::default());
    loaded.environment.unwrap_or_else(|| panic!("{:?}", loaded.diagnostics))
}

/// Two front ends of the one balancer.
fn world() -> (Environment, Vec<Arc<MemoryFrontEnd>>, Balancing) {
    let memory = vec![Arc::new(MemoryFrontEnd::new("left")), Arc::new(MemoryFrontEnd::new("right"))];
    let front_ends = memory.iter().map(|front_end| front_end.clone() as Arc<dyn FrontEnd>).collect();
    (environment(), memory, Balancing::of(BTreeMap::from([("front".into(), front_ends)])))
}

#[tokio::test(start_paused = true)]
async fn all_have_to_acknowledge() {
    let (environment, memory, balancing) = world();
    let balancers = || environment.balancers.values();
    let mut rotation = Rotation::all(&environment);
    memory[1].delay(Duration::from_secs(3));
    let began = Instant::now();
    balancing.publish(balancers(), &rotation).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(3));
    let loaded = memory[0].loaded().unwrap();
    assert_eq!(memory[1].loaded(), Some(loaded.clone()));
    assert_eq!((memory[0].published().len(), memory[1].published().len()), (1, 1));

    // Whoever serves it already is left alone.
    balancing.publish(balancers(), &rotation).await.unwrap();
    assert_eq!(memory[1].published().len(), 1);

    // One that never comes to it is named, with what it serves instead.
    rotation.drain(&"web-1".into());
    memory[1].delay(Duration::from_hours(1));
    let error = balancing.publish(balancers(), &rotation).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("front end right of balancer front: it does not serve generation"), "{text}");
    assert!(text.ends_with(&format!("within 30 s, but {}", loaded.generation)), "{text}");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_killed_is_asked_again() {
    let (environment, memory, balancing) = world();
    let rotation = Rotation::all(&environment);
    memory[0].kill();
    let back = async {
        sleep(Duration::from_secs(2)).await;
        memory[0].start();
        // It has the file, and is killed before it has loaded that.
        memory[0].delay(Duration::from_secs(1));
        sleep(Duration::from_millis(500)).await;
        memory[0].kill();
        sleep(Duration::from_secs(2)).await;
        memory[0].start();
    };
    let (published, ()) = tokio::join!(balancing.publish(environment.balancers.values(), &rotation), back);
    published.unwrap();
    assert_eq!(memory[0].loaded(), memory[1].loaded());

    memory[1].kill();
    let rotation = Rotation::default();
    let text = balancing.publish(environment.balancers.values(), &rotation).await.unwrap_err().to_string();
    assert_eq!(text, "front end right of balancer front: it cannot be reached: right does not run");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_tried_again() {
    let (environment, memory, balancing) = world();
    let refused = FrontEndError::Refused { command: "haproxy -c".to_owned(), output: "line 3".to_owned() };
    memory[1].fail(refused);
    let began = Instant::now();
    let text = balancing
        .publish(environment.balancers.values(), &Rotation::default())
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        text,
        "front end right of balancer front: the configuration does not pass `haproxy -c`: line 3"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(memory[1].published().is_empty() && memory[1].loaded().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_is_waited_for() {
    let (environment, memory, balancing) = world();
    let balancers = || environment.balancers.values();
    balancing.publish(balancers(), &Rotation::all(&environment)).await.unwrap();
    memory[0].linger(Duration::from_secs(7));
    balancing.publish(balancers(), &Rotation::default()).await.unwrap();
    let began = Instant::now();
    assert!(balancing.drained(balancers()).await);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(9), "{took:?}");

    // But no longer than was allowed.
    memory[1].linger(Duration::from_mins(5));
    balancing.publish(balancers(), &Rotation::all(&environment)).await.unwrap();
    let began = Instant::now();
    assert!(!balancing.drained(balancers()).await);
    assert_eq!(began.elapsed().as_secs(), 30);
}

/// Of a change, each front end is told once, also where it is in no container.
#[tokio::test(start_paused = true)]
async fn a_change_is_told_once() {
    let (environment, memory, balancing) = world();
    let selection = select(&environment, &Selector::default(), Intent::Stop.selection_rules()).unwrap();
    let plan =
        plan(&environment, &FleetSnapshot::default(), &Intent::Stop, &selection, PlanLimits::default());
    for front_end in &memory {
        front_end.delay(Duration::from_secs(1));
    }
    let routes = Routes::new(environment, balancing, &plan);
    let change = RouteChange { withdraw: vec!["web-1".into()], ..RouteChange::default() };
    routes.turn().await.change(&["front".into()], &change).await.unwrap();
    assert_eq!((memory[0].published().len(), memory[1].published().len()), (1, 1));
}

/// Where who is told has finished is waited for, if anybody drains.
#[tokio::test(start_paused = true)]
async fn who_drains_is_waited_for() {
    let (environment, memory, balancing) = world();
    let selection = select(&environment, &Selector::default(), Intent::Stop.selection_rules()).unwrap();
    let plan =
        plan(&environment, &FleetSnapshot::default(), &Intent::Stop, &selection, PlanLimits::default());
    memory[1].linger(Duration::from_secs(7));
    let routes = Routes::new(environment, balancing, &plan);
    let drain = RouteChange { drain: vec!["web-1".into()], ..RouteChange::default() };
    let withdraw = RouteChange { withdraw: vec!["web-1".into()], ..RouteChange::default() };
    for (change, waits) in [(RouteChange::default(), false), (drain, true), (withdraw, false)] {
        let began = Instant::now();
        routes.turn().await.change(&["front".into()], &change).await.unwrap();
        let took = began.elapsed();
        assert_eq!(took > Duration::from_secs(5), waits, "{change:?}: {took:?}");
    }
}

/// A front end whose process is being replaced: of new connections, some are taken by the one and some by the other.
struct Replaced {
    wanted: Generation,
    /// Who takes them, one after another; at last, the new one takes all.
    by_the_new: Vec<bool>,
    asked: AtomicUsize,
}

impl FrontEnd for Replaced {
    fn name(&self) -> &'static str {
        "replaced"
    }

    fn publish<'a>(&'a self, _: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(async { Ok(()) })
    }

    fn prepare<'a>(&'a self, _: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(async { Ok(()) })
    }

    fn serving(&self) -> BoxFuture<'_, Result<Option<Generation>, FrontEndError>> {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let is_new = self.by_the_new.get(asked).copied().unwrap_or(true);
        Box::pin(async move { Ok(is_new.then(|| self.wanted.clone())) })
    }

    fn lingering(&self) -> BoxFuture<'_, Result<Option<usize>, FrontEndError>> {
        Box::pin(async { Ok(None) })
    }
}

/// Who says once that he serves the new configuration may not be the last of those who are asked.
#[tokio::test(start_paused = true)]
async fn one_answer_is_no_acknowledgement() {
    let environment = environment();
    let balancer = &environment.balancers["front"];
    let made = configuration(balancer, &Rotation::all(&environment).endpoints_of(balancer)).unwrap();
    let by_the_new = vec![false, true, false, true, true, true, false];
    let asked = AtomicUsize::new(0);
    let front_end = Arc::new(Replaced { wanted: made.generation.clone(), by_the_new, asked });
    publish(&[front_end.clone() as Arc<dyn FrontEnd>], &made, balancer.patience).await.unwrap();
    assert_eq!(front_end.asked.load(Ordering::Relaxed), 7 + 4);
}
