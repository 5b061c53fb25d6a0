//! Where the straight line meets the world: the traits that the binary implements, each at least twice.

mod auditor;
mod engine;
mod front_end;
mod ledger;
mod probe;
mod shelf;

pub use auditor::{Auditor, Undelivered};
pub use engine::{
    AttachOptions, CallOutcome, Deadlines, Engine, EngineEvent, EngineEvents, Examination, ExecInput,
    ExecOutput, ExecSession, LogLine, LogOptions, LogStream, Needs, Progress, RegistryImage, Scope,
};
pub use front_end::{FrontEnd, FrontEndError};
pub use ledger::{Contents, Document, Entry, Journal, Ledger, LedgerError, LedgerWriter, Unreadable};
pub use probe::{CheckFailure, Probe};
pub use shelf::{Claimed, File, Folder, FolderId, FolderName, Keep, LAST_BEAT, Labels, Shelf};
