//! Real engines in network namespaces of their own: the edges that no pretending reaches. Needs root and what
//! `scripts/install-practice-fleet` installs; a test that lacks them fails and says so.

#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod balancing;
mod beside;
mod conformance;
mod cutover;
mod deploying;
mod doctor;
mod drift;
mod edges;
mod etcd;
mod faults;
mod hooks;
mod killed;
mod kinds;
mod ledger;
mod orphans;
mod scripts;
mod site;
mod ssh;
mod streams;
