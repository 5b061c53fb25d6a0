//! How the engine behaves on the wire, against a server on the loopback interface that answers by script.

mod calls;
mod failures;
mod liveness;
mod script;
mod streams;
mod tls;
