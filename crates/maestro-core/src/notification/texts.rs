//! The words of notifications, and the forms in which each kind of auditor wants them. maestro-ng's, to the letter:
//! people and programs read them.

use super::{Audited, Moment, Notification, What};
use crate::config::format_texts;
use crate::model::{Format, Payload, Script, Slack, Webhook};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What is sent in one piece may have so many bytes; the names of a hundred thousand containers are a few million.
const MOST_BYTES: u64 = 16 << 20;

/// With fewer names than this, a short text has them all.
const MOST_NAMES: usize = 5;

/// A format that these values do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be filled in: {0}")]
pub struct Unformattable(String);

/// A line of a log, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `INFO`, `DEBUG` or `ERROR`.
    pub level: &'static str,
    /// What it says, without line ends.
    pub text: String,
}

/// How a script is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads.
    pub input: String,
}

impl Notification {
    /// All names.
    pub fn full(&self) -> String {
        let names: Vec<&str> = self.about().iter().map(|one| one.instance.as_str()).collect();
        names.join(", ")
    }

    /// All names if they are few, else how many there are.
    pub fn compact(&self) -> String {
        if self.is_short() { self.full() } else { format!("{} containers", self.about().len()) }
    }

    /// The sentence that says it.
    pub fn sentence(&self, what: &str) -> String {
        let action = self.action;
        match &self.moment {
            Moment::Begins => {
                let doubled = if action == "stop" { "p" } else { "" };
                format!("{} is {action}{doubled}ing {what}.", self.who)
            }
            Moment::Succeeded => format!("{} of {what} succeeded.", titled(action)),
            Moment::Failed { message } => {
                let mut text = format!("Failed to {action} {what}!");
                if let Some(message) = message.as_ref().filter(|message| !message.is_empty()) {
                    _ = write!(text, " (message: {message})");
                }
                text
            }
        }
    }

    /// For a log.
    pub fn log_line(&self) -> LogLine {
        let level = match (&self.moment, &self.what) {
            (Moment::Failed { .. }, _) => "ERROR",
            (_, What::Play(_)) => "INFO",
            (_, What::Task(_)) => "DEBUG",
        };
        // Somebody else's words may be among them, and what looks like a line is to be one.
        let text = self.sentence(&self.full()).replace(char::is_control, " ");
        LogLine { level, text }
    }

    /// What a webhook is sent: JSON, `null` if nothing is left of the payload (8.4).
    pub fn request_body(&self, webhook: &Webhook) -> Result<String, Unformattable> {
        let (what, message) = (self.full(), self.sentence(&self.described()));
        let values = [("what", &*what), ("action", self.action), ("who", &*self.who), ("message", &*message)];
        let mut room = MOST_BYTES;
        Ok(filled(&webhook.payload, &values, &mut room)?.unwrap_or(Value::Null).to_string())
    }

    /// How a script is run. Its `{who}` is `None` and its `{what}` what maestro-ng makes of a list.
    pub fn invocation(&self, script: &Script) -> Result<Invocation, Unformattable> {
        let mut command = vec![script.program.to_string()];
        if let Some(Format(args)) = &script.args {
            let what = self.described();
            let values = [("what", &*what), ("action", self.action), ("who", "None")];
            let args = format_texts(args, &values, MOST_BYTES).map_err(Unformattable)?;
            command.extend(args.split_whitespace().map(str::to_owned));
        }
        let containers = self.about().iter().map(|one| {
            let place = json!({ "ship": &*one.ip, "service": one.service.as_str() });
            (one.instance.to_string(), place)
        });
        let input = Value::Object(containers.collect()).to_string();
        Ok(Invocation { command, input })
    }

    /// The fields of a Slack message, without the token.
    pub fn slack_fields(&self, slack: &Slack) -> Vec<(&'static str, String)> {
        let text = self.sentence(&self.compact());
        let color = match self.moment {
            Moment::Begins => "#1dc7d3",
            Moment::Succeeded => "good",
            Moment::Failed { .. } => "danger",
        };
        let mut fields = Vec::new();
        if let Moment::Failed { message: Some(message) } = &self.moment {
            fields.push(json!({ "title": "Error", "value": escaped(message), "short": true }));
        }
        if !self.is_short() {
            fields.push(json!({ "title": "Targets", "value": escaped(&self.full()) }));
        }
        let attachment =
            json!({ "fallback": &*text, "text": escaped(&text), "color": color, "fields": fields });
        let mut form = vec![("channel", slack.channel.to_string()), ("username", slack.name.to_string())];
        form.extend(slack.icon.as_ref().map(|icon| ("icon_url", icon.to_string())));
        form.push(("attachments", Value::Array(vec![attachment]).to_string()));
        form.push(("mrkdwn", "True".to_owned()));
        form
    }

    fn is_short(&self) -> bool {
        self.about().len() < MOST_NAMES
    }

    /// What Python prints for a container, or for a list of them.
    fn described(&self) -> String {
        let described = |one: &Audited| format!("{} (on {})", one.instance, one.ship);
        match &self.what {
            What::Play(all) => format!("[{}]", all.iter().map(described).collect::<Vec<_>>().join(", ")),
            What::Task(one) => described(one),
        }
    }
}

/// A payload with its formats filled in; nothing if nothing is left of it.
fn filled(
    payload: &Payload,
    values: &[(&str, &str)],
    room: &mut u64,
) -> Result<Option<Value>, Unformattable> {
    Ok(match payload {
        Payload::Text(Format(format)) => {
            let text = format_texts(format, values, MOST_BYTES).map_err(Unformattable)?;
            *room = room
                .checked_sub(text.len() as u64)
                .ok_or_else(|| Unformattable("it is too long".to_owned()))?;
            (!text.is_empty()).then_some(Value::String(text))
        }
        Payload::List(items) => {
            let items = items.iter().filter_map(|item| filled(item, values, room).transpose());
            let items = items.collect::<Result<Vec<_>, _>>()?;
            (!items.is_empty()).then_some(Value::Array(items))
        }
        Payload::Map(entries) => {
            let entries = entries.iter().filter_map(|(key, value)| {
                Some(filled(value, values, room).transpose()?.map(|v| (key.to_string(), v)))
            });
            let entries = entries.collect::<Result<serde_json::Map<_, _>, _>>()?;
            (!entries.is_empty()).then_some(Value::Object(entries))
        }
    })
}

/// With a capital.
fn titled(action: &str) -> String {
    let mut chars = action.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// As Slack wants text that is not to call anybody: a message may repeat what a program has written.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
