//! Front ends of balancers behind a lease that is lost.

use super::{Deployer, SECOND, TestClock, world};
use futures_util::future::BoxFuture;
use maestro::balance::Balancing;
use maestro::ledger::{holders, unlock};
use maestro_core::balance::{Configuration, Generation, Rotation, configuration};
use maestro_core::boundary::{FrontEnd, FrontEndError};
use maestro_core::config::{Limits, load};
use maestro_core::source::MapSources;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::sleep;

/// To be told takes two calls, with a while between them.
#[derive(Default)]
struct Slow {
    calls: Mutex<Vec<&'static str>>,
}

impl Slow {
    fn call(&self, what: &'static str) {
        self.calls.lock().unwrap().push(what);
    }

    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn told<'a>(
        &'a self,
        first: &'static str,
        second: &'static str,
    ) -> BoxFuture<'a, Result<(), FrontEndError>> {
        Box::pin(async move {
            self.call(first);
            sleep(10 * SECOND).await;
            self.call(second);
            Ok(())
        })
    }
}

impl FrontEnd for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn publish<'a>(&'a self, _: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        self.told("write", "reload")
    }

    fn prepare<'a>(&'a self, _: &'a Configuration) -> BoxFuture<'a, Result<(), FrontEndError>> {
        self.told("write", "rename")
    }

    fn serving(&self) -> BoxFuture<'_, Result<Option<Generation>, FrontEndError>> {
        Box::pin(async { Ok(None) })
    }

    fn lingering(&self) -> BoxFuture<'_, Result<Option<usize>, FrontEndError>> {
        Box::pin(async { Ok(None) })
    }
}

fn told() -> Configuration {
    let text = "name: t\nships: {a: {ip: 192.0.2.1}}\nservices:\n  web: {image: w, ports: {http: 80}, instances: {web-1: \
                {ship: a}}}\nbalancers:\n  front: {kind: haproxy, hosts: [x], routes: [{service: web, port: http}]}\n";
    let environment = load(&MapSources::of(text), &Limits::default()).environment.unwrap();
    let balancer = &environment.balancers["front"];
    configuration(balancer, &Rotation::all(&environment).endpoints_of(balancer)).unwrap()
}

/// Of what is under way when the lease is lost, the next call is not made; and afterwards none at all.
#[tokio::test(start_paused = true)]
async fn a_front_end_is_told_nothing_more_once_the_lease_is_lost() {
    for prepares in [false, true] {
        let world = world(3);
        let ada = Deployer::of("ada", &world, TestClock::new(SECOND, 100));
        let bob = Deployer::of("bob", &world, TestClock::new(Duration::ZERO, 100));
        let lease = ada.claim(Duration::ZERO).await.unwrap();
        let slow = Arc::new(Slow::default());
        let all = BTreeMap::from([("front".into(), vec![slow.clone() as Arc<dyn FrontEnd>])]);
        let fenced = Balancing::of(all).behind(&lease.fence());
        let [front_end] = fenced.front_ends(&"front".into()) else { panic!() };
        let configuration = told();
        let tell = async || {
            if prepares {
                front_end.prepare(&configuration).await
            } else {
                front_end.publish(&configuration).await
            }
        };
        let whole = if prepares { ["write", "rename"] } else { ["write", "reload"] };
        tell().await.unwrap();
        assert_eq!(slow.calls(), whole);

        let (late, ()) = tokio::join!(tell(), async {
            sleep(SECOND).await;
            let shown = holders(&bob.anchors(), SECOND).await;
            let run = shown[0].1.clone().unwrap().unwrap().run;
            assert_eq!(unlock(&bob.anchors(), &run, SECOND).await.taken, 3);
        });
        assert!(matches!(late, Err(FrontEndError::Fenced(_))), "{late:?}");
        assert_eq!(slow.calls(), ["write"]);
        let late = tell().await;
        assert!(matches!(late, Err(FrontEndError::Fenced(_))), "{late:?}");
        assert_eq!(slow.calls(), [""; 0]);
    }
}
