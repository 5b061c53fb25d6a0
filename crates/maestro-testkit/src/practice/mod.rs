//! The practice fleet: real Docker Engines on one Linux machine, each in a network namespace of its own.
//!
//! A ship is a namespace on a switch with an engine, its data root, its own `/run` and, where wanted, an SSH
//! server. A registry with a login and ready-made images can stand beside them. Everything is started side by
//! side and removed again, also after this process was killed. Two fleets on one machine never meet. Needs root
//! and what `scripts/install-practice-fleet` installs; starts no service of the machine and uses none.
//!
//! ```no_run
//! # use maestro_testkit::practice::{Login, PracticeFleet, TransportKind};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let fleet = PracticeFleet::builder()
//!     .ships(&[TransportKind::Tcp, TransportKind::Ssh])
//!     .mixed()
//!     .registry(Login::default())
//!     .up()
//!     .await?;
//! println!("{}", fleet.description().environment_yaml());
//! fleet.cut_off("ship-1").await?;
//! fleet.down().await?;
//! # Ok(())
//! # }
//! ```

mod api;
mod balancer;
mod builder;
mod command;
mod description;
mod error;
mod etcd;
mod faults;
mod fleet;
mod http;
mod image;
mod install;
mod layout;
mod net;
mod pki;
mod process;
mod registry;
mod ship;
mod shop;
mod slot;
mod teardown;
mod tunnel;

pub use api::{EngineApi, EngineVersionInfo};
pub use balancer::LoadBalancer;
pub use builder::{FleetBuilder, ShipPlan};
pub use description::{FleetDescription, RegistryDescription, ShipDescription, TransportDescription};
pub use error::FleetError;
pub use etcd::PracticeEtcd;
pub use fleet::PracticeFleet;
pub use http::Peer;
pub use install::EngineRelease;
pub use pki::{Authority, CertificateFiles};
pub use registry::Login;
pub use ship::TransportKind;
pub use shop::{READY, Ready};
