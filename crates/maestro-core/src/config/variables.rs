//! Services whose containers could be made and not started, because they are told too much. The file is in order for all
//! that starts nothing, so this is a warning; whoever starts them is refused.

use super::fields::Reader;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Environment, Weights};
use crate::names::ServiceName;
use crate::source::Span;
use std::collections::BTreeMap;

/// For so much it is looked, which takes a second or two: services that are told of thousands of others, which are told of
/// thousands, would take hours. What is not warned of for that is refused all the same when it is to be started.
const MOST_WORK: usize = 5_000_000;

/// Warns once for each service.
pub(super) fn check(
    reader: &mut Reader<'_>,
    environment: &Environment,
    places: &BTreeMap<ServiceName, Span>,
) {
    let mut weights = Weights::new(environment);
    for (name, service) in &environment.services {
        if weights.work() > MOST_WORK {
            break;
        }
        let mut instances = service.instances.iter().filter_map(|name| environment.instances.get(name));
        let found = instances.find_map(|instance| weights.at_most(instance));
        if let (Some(excess), Some(place)) = (found, places.get(name)) {
            let warning = Diagnostic::warning(Code::TooManyVariables, excess.to_string()).at(*place);
            reader.report(warning.note(excess.cause()).help(excess.remedy()));
        }
    }
}
