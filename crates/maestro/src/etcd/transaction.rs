//! What a transaction did, as the gateway has it: 64 bits are text there, and what is zero, false or empty is left out.

use super::keys::{self, Op, Pair};
use serde::Deserialize;
use serde_json::Value;

/// What a transaction did.
pub(super) struct Outcome {
    /// Whether its conditions were met.
    pub(super) met: bool,
    /// The store's revision after it.
    pub(super) revision: u64,
    /// What each of its questions found, in their order.
    pub(super) found: Vec<Found>,
}

/// What a question found.
pub(super) struct Found {
    pub(super) pairs: Vec<Pair>,
    /// Whether there is more than was asked for.
    pub(super) more: bool,
}

#[derive(Deserialize)]
struct Answer {
    header: Header,
    #[serde(default)]
    succeeded: bool,
    #[serde(default)]
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Header {
    revision: String,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    response_range: Option<Range>,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<Encoded>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Encoded {
    key: String,
    #[serde(default)]
    value: String,
}

impl Outcome {
    /// None if it is no answer to that.
    pub(super) fn read(answer: Value, then: &[Op], otherwise: &[Op]) -> Option<Self> {
        let Answer { header, succeeded, responses } = Answer::deserialize(answer).ok()?;
        let asked = if succeeded { then } else { otherwise };
        if responses.len() != asked.len() {
            return None;
        }
        let questions = asked.iter().zip(responses).filter(|(op, _)| !op.writes());
        let found = questions.map(|(_, response)| response.response_range?.read()).collect::<Option<_>>()?;
        Some(Self { met: succeeded, revision: header.revision.parse().ok()?, found })
    }

    /// Everything that was found.
    pub(super) fn pairs(&self) -> Vec<Pair> {
        self.found.iter().flat_map(|found| found.pairs.iter().cloned()).collect()
    }
}

impl Range {
    fn read(self) -> Option<Found> {
        let pair = |Encoded { key, value }| Some((keys::decoded(&key)?, keys::decoded(&value)?));
        Some(Found { pairs: self.kvs.into_iter().map(pair).collect::<Option<_>>()?, more: self.more })
    }
}
