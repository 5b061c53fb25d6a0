//! Services whose containers could be made and not started, because they are told too much. The file is in order for all
//! that starts nothing, so this is a warning; whoever starts them is refused.

use super::fields::Reader;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Environment, Weights};
use crate::names::ServiceName;
use crate::source::Span;
use std::collections::BTreeMap;

/// Warns once for each service.
pub(super) fn check(
    reader: &mut Reader<'_>,
    environment: &Environment,
    places: &BTreeMap<ServiceName, Span>,
) {
    let mut weights = Weights::new(environment);
    for (name, service) in &environment.services {
        let mut instances = service.instances.iter().filter_map(|name| environment.instances.get(name));
        let found = instances.find_map(|instance| weights.at_most(instance));
        if let (Some(excess), Some(place)) = (found, places.get(name)) {
            let warning = Diagnostic::warning(Code::TooManyVariables, excess.to_string()).at(*place);
            reader.report(warning.note(excess.cause()).help(excess.remedy()));
        }
    }
}
