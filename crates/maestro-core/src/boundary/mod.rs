//! Where the straight line meets the world: the traits that the binary implements, each at least twice.

mod auditor;
mod engine;
mod probe;

pub use auditor::{Auditor, Undelivered};
pub use engine::{
    AttachOptions, CallOutcome, Deadlines, Engine, EngineEvent, EngineEvents, ExecInput, ExecOutput,
    ExecSession, LogLine, LogOptions, LogStream, Needs, Progress, Scope,
};
pub use probe::{CheckFailure, Probe};
