//! The query of a request. A parameter that the engine does not know is refused: the real one ignores it, and with it
//! what its sender meant.

use crate::state::Refusal;
use serde_json::Value;

/// The parameters of one request.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query that may have these parameters.
    pub(crate) fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, Refusal> {
        let Some(text) = text else { return Ok(Self::default()) };
        let mut all = Vec::new();
        for (key, value) in form_urlencoded::parse(text.as_bytes()) {
            if !known.contains(&&*key) {
                return Err(Refusal::strict(format!("unknown query parameter {key:?}; known are {known:?}")));
            }
            if all.iter().any(|(other, _): &(String, String)| *other == *key) {
                return Err(Refusal::strict(format!("query parameter {key:?} is given twice")));
            }
            all.push((key.into_owned(), value.into_owned()));
        }
        Ok(Self(all))
    }

    /// A parameter, if it is given and not empty.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A truth value, by the engine's own rule.
    pub(crate) fn flag(&self, key: &str) -> bool {
        let value = self.text(key).unwrap_or("").trim().to_ascii_lowercase();
        !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// A number.
    pub(crate) fn number<T: std::str::FromStr>(&self, key: &str) -> Result<Option<T>, Refusal> {
        match self.text(key) {
            None => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| Refusal::bad(format!("strict fake: {key} is no number: {text:?}"))),
        }
    }

    /// A point in time as seconds since 1970, possibly with a fraction; 0 is none.
    pub(crate) fn time(&self, key: &str) -> Result<Option<jiff::Timestamp>, Refusal> {
        let Some(text) = self.text(key).filter(|text| *text != "0") else { return Ok(None) };
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let nanos = format!("{fraction:0<9}");
        let parsed = match (seconds.parse::<i64>(), nanos.get(..9).and_then(|n| n.parse::<i32>().ok())) {
            (Ok(seconds), Some(nanos)) => jiff::Timestamp::new(seconds, nanos).ok(),
            _ => None,
        };
        parsed.map(Some).ok_or_else(|| Refusal::strict(format!("{key} is no time: {text:?}")))
    }

    /// The filters, which may have these names: `{"name": ["a"]}` or, in its old form, `{"name": {"a": true}}`.
    pub(crate) fn filters(&self, known: &[&str]) -> Result<Filters, Refusal> {
        let Some(text) = self.text("filters") else { return Ok(Filters::default()) };
        let Ok(Value::Object(map)) = serde_json::from_str(text) else {
            return Err(Refusal::bad("invalid filter"));
        };
        let mut all = Vec::new();
        for (name, values) in map {
            if !known.contains(&name.as_str()) {
                return Err(Refusal::bad(format!("invalid filter '{name}'")));
            }
            let values = match values {
                Value::Array(values) => {
                    values.into_iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
                }
                Value::Object(values) => Some(values.into_iter().map(|(value, _)| value).collect()),
                _ => None,
            };
            all.push((name, values.ok_or_else(|| Refusal::bad("invalid filter"))?));
        }
        Ok(Filters(all))
    }
}

/// What a list or a stream is cut down to.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Whether something has one of the wanted values of this name.
    pub(crate) fn allow(&self, name: &str, test: impl Fn(&str) -> bool) -> bool {
        match self.0.iter().find(|(n, _)| n == name) {
            Some((_, values)) => values.is_empty() || values.iter().any(|value| test(value)),
            None => true,
        }
    }

    /// Whether a container of this name, without its slash, is wanted: a regular expression finds something in it.
    pub(crate) fn allow_name(&self, name: &str) -> bool {
        self.allow("name", |pattern| match exact(pattern) {
            Some(exact) => exact == name,
            None => regex::Regex::new(pattern)
                .is_ok_and(|pattern| pattern.is_match(name) || pattern.is_match(&format!("/{name}"))),
        })
    }

    /// Whether something has all of the wanted labels, each `key` or `key=value`.
    pub(crate) fn allow_labels<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        let wanted = self.0.iter().filter(|(n, _)| n == "label").flat_map(|(_, values)| values);
        wanted
            .map(|label| label.split_once('=').map_or((label.as_str(), None), |(k, v)| (k, Some(v))))
            .all(|(key, value)| get(key).is_some_and(|have| value.is_none_or(|value| value == have)))
    }
}

/// The only name that a pattern matches, if it is one of those with nothing but a name: to build an automaton for each
/// request would take longer than all the rest of it.
fn exact(pattern: &str) -> Option<String> {
    let name = pattern.strip_prefix("^/?")?.strip_suffix('$')?;
    let literal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    name.replace("\\.", "").chars().all(literal).then(|| name.replace("\\.", "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_write() {
        let query = Query::parse(
            Some("all=True&t=3&since=12.5&filters=%7B%22name%22%3A%5B%22web%22%5D%7D"),
            &["all", "t", "since", "filters"],
        )
        .unwrap();
        assert!(query.flag("all"));
        assert_eq!(query.number("t"), Ok(Some(3)));
        assert_eq!(query.time("since").unwrap().map(jiff::Timestamp::as_millisecond), Some(12_500));
        let filters = query.filters(&["name"]).unwrap();
        assert!(filters.allow("name", |n| n == "web") && !filters.allow("name", |n| n == "db"));
        assert!(filters.allow("status", |_| false));
    }

    #[test]
    fn names_are_patterns() {
        let allowed = |pattern: &str| {
            let text = serde_json::json!({ "name": [pattern] }).to_string();
            let query: String =
                form_urlencoded::Serializer::new(String::new()).append_pair("filters", &text).finish();
            let filters = Query::parse(Some(&query), &["filters"]).unwrap().filters(&["name"]).unwrap();
            ["web-1", "web-10", "web.1", "db"]
                .into_iter()
                .filter(|name| filters.allow_name(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(allowed("web-1"), ["web-1", "web-10"]);
        assert_eq!(allowed("^/?web-1$"), ["web-1"]);
        assert_eq!(allowed("^web.1$"), ["web-1", "web.1"]);
        assert_eq!(allowed("^/?web.1$"), ["web-1", "web.1"]);
        assert_eq!(allowed(r"^/?web\.1$"), ["web.1"]);
        assert_eq!(allowed("^/web"), ["web-1", "web-10", "web.1"]);
        assert_eq!(allowed("("), Vec::<&str>::new());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(Query::parse(Some("nope=1"), &["all"]).is_err());
        assert!(Query::parse(Some("all=1&all=0"), &["all"]).is_err());
        let query = Query::parse(Some("filters=%7B%22nope%22%3A%5B%5D%7D"), &["filters"]).unwrap();
        assert!(query.filters(&["name"]).is_err());
    }
}
