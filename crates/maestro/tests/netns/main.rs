//! Real engines in network namespaces of their own: the edges that no pretending reaches. Needs root and what
//! `scripts/install-practice-fleet` installs; a test that lacks them fails and says so.

mod conformance;
mod faults;
mod scripts;
mod site;
mod streams;
