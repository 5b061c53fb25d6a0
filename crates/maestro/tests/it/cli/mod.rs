//! The program itself, run as its users run it, against pretended Docker Engines that listen on loopback.

mod asking;
mod auditors;
mod bad_release;
mod budgets;
mod bad;
mod compat;
mod deploying;
mod doctor;
mod exit_codes;
mod front_ends;
mod hooks;
mod killed;
mod leasing;
mod many;
mod meanwhile;
mod output;
mod replicas;
mod safeguards;
mod secrets;
mod shell;
mod signals;
mod ship_lost;
mod sink;
mod site;
mod streams;
mod weights;
