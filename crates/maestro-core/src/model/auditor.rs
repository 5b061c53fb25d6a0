//! Who is told what is done: entries of `audit:`.

use crate::names::Secret;
use std::sync::Arc;
use std::time::Duration;

/// Somebody who is told what is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Auditor {
    /// How much it wants to know.
    pub level: Level,
    /// Whether it may fail without anybody minding.
    pub ignore_errors: bool,
    /// How it is told.
    pub channel: Channel,
}

/// How much an auditor wants to know; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// That something went wrong.
    Errors,
    /// What commands do.
    Info,
    /// What is done to each instance.
    Debug,
}

/// How an auditor is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Channel {
    /// A line at the end of a file, whose path is relative to the working directory.
    Log {
        /// The path.
        file: Arc<str>,
    },
    /// An HTTP request for every action.
    Http(Box<Webhook>),
    /// A program that is run when a command has succeeded.
    Exec(Script),
    /// A message in a Slack channel.
    Slack(Box<Slack>),
    /// Nobody: the service is no more.
    HipChat,
}

/// An HTTP request for every action.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Its address, `http` or `https`. Who knows it can post.
    pub endpoint: Secret,
    /// What is sent.
    pub payload: Payload,
    /// Headers besides `Content-Type`, or in place of it.
    pub headers: Vec<(Arc<str>, Secret)>,
    /// With which method.
    pub method: WebhookMethod,
    /// How long one request may take.
    pub timeout: Duration,
}

/// What a webhook may be called with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookMethod {
    /// `GET`, with a body.
    Get,
    /// `POST`.
    Post,
}

/// What a webhook is sent, before its formats are filled in.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// A text.
    Text(Format),
    /// An object, in the order of the file.
    Map(Vec<(Arc<str>, Payload)>),
    /// An array.
    List(Vec<Payload>),
}

/// A text in Python's format syntax, with names such as `{what}` and doubled braces. Who made one has tried it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format(pub(crate) Arc<str>);

/// A program that is run when a command has succeeded.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// The program, relative to the working directory or found in the `PATH`.
    pub program: Arc<str>,
    /// Its arguments, to be split at white space once they are filled in.
    pub args: Option<Format>,
    /// How long it may run.
    pub timeout: Duration,
}

/// A message in a Slack channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Slack {
    /// The channel.
    pub channel: Arc<str>,
    /// What lets one post.
    pub token: Secret,
    /// Under which name.
    pub name: Arc<str>,
    /// The address of a picture to go with the name.
    pub icon: Option<Arc<str>>,
}

impl Channel {
    /// What `type:` calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Channel::Log { .. } => "log",
            Channel::Http(_) => "http",
            Channel::Exec(_) => "exec",
            Channel::Slack(_) => "slack",
            Channel::HipChat => "hipchat",
        }
    }

    /// Where it leads, for people: nothing that is secret.
    pub fn place(&self) -> &str {
        match self {
            Channel::Log { file } => file,
            Channel::Http(webhook) => webhook.host(),
            Channel::Exec(script) => &script.program,
            Channel::Slack(slack) => &slack.channel,
            Channel::HipChat => "",
        }
    }
}

impl Webhook {
    /// Host and port of the address; of one that the file does not have, what it is called.
    pub fn host(&self) -> &str {
        if let Some(name) = self.endpoint.name() {
            return name.as_str();
        }
        let authority = authority(self.endpoint.expose()).unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }
}

impl WebhookMethod {
    /// As HTTP writes it.
    pub fn name(self) -> &'static str {
        match self {
            WebhookMethod::Get => "GET",
            WebhookMethod::Post => "POST",
        }
    }
}

/// What follows the scheme of an `http` or `https` address, up to the path.
pub(crate) fn authority(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    rest.split(['/', '?', '#']).next()
}
