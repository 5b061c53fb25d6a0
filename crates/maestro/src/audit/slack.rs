//! A message in a Slack channel.

use crate::probe::{quote, root, seconds, web_client};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use maestro_core::boundary::{Auditor, Undelivered};
use maestro_core::model::Slack;
use maestro_core::notification::Notification;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

const URL: &str = "https://slack.com/api/chat.postMessage";
/// How long posting a message may take, tries included.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// How long to wait where Slack says that it is too much at once, and not for how long.
const PAUSE: Duration = Duration::from_secs(1);
/// Answers are small.
const LONGEST_ANSWER: usize = 64 << 10;

pub(super) struct SlackPost {
    slack: Slack,
    url: String,
    client: OnceCell<Client>,
}

/// What Slack answers, as far as it matters.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    ok: bool,
    error: Option<String>,
}

impl SlackPost {
    pub(super) fn new(slack: Slack) -> Self {
        Self { slack, url: URL.to_owned(), client: OnceCell::new() }
    }

    /// The same at another address.
    #[cfg(test)]
    pub(super) fn at(self, url: String) -> Self {
        Self { url, ..self }
    }

    async fn post(&self, form: &str, deadline: Instant) -> Result<(), Undelivered> {
        let client = self.client.get_or_try_init(|| web_client("https", "slack.com")).await;
        let client = client.map_err(|because| Undelivered(because.clone()))?;
        loop {
            // Not in the address, as maestro-ng did: addresses end up in the logs of proxies, and Slack takes tokens
            // of new apps in this header only.
            let request = client
                .post(&self.url)
                .bearer_auth(self.slack.token.expose())
                .header(USER_AGENT, super::AGENT);
            let request =
                request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned());
            let response = request.send().await.map_err(|error| Undelivered(root(&error)))?;
            if response.status() != StatusCode::TOO_MANY_REQUESTS {
                return judge(response).await;
            }
            let pause = pause(&response);
            if Instant::now() + pause >= deadline {
                let text = format!("Slack wants no more messages for another {}", seconds(pause));
                return Err(Undelivered(text));
            }
            sleep(pause).await;
        }
    }
}

fn form(fields: &[(&str, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// How long Slack wants to be left alone; never nothing, so that its answers set no pace of their own.
fn pause(response: &Response) -> Duration {
    let text = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wanted = text.and_then(|text| text.trim().parse().ok()).map_or(PAUSE, Duration::from_secs);
    wanted.clamp(PAUSE, Duration::from_hours(24))
}

async fn judge(mut response: Response) -> Result<(), Undelivered> {
    let status = response.status();
    if status != StatusCode::OK {
        return Err(Undelivered(format!("status {}", status.as_u16())));
    }
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| Undelivered(root(&error)))? {
        body.extend_from_slice(&piece);
        if body.len() > LONGEST_ANSWER {
            return Err(Undelivered("what answered is not Slack".to_owned()));
        }
    }
    match serde_json::from_slice(&body) {
        Ok(Answer { ok: true, .. }) => Ok(()),
        Ok(Answer { error: Some(error), .. }) => Err(Undelivered(format!("Slack says: {}", quote(&error)))),
        Ok(Answer { error: None, .. }) | Err(_) => Err(Undelivered("what answered is not Slack".to_owned())),
    }
}

impl Auditor for SlackPost {
    fn tell<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), Undelivered>> {
        async {
            let form = form(&notification.slack_fields(&self.slack));
            let deadline = Instant::now() + LIMIT;
            match timeout_at(deadline, self.post(&form, deadline)).await {
                Ok(result) => result,
                Err(_) => Err(Undelivered(format!("no answer within {}", seconds(LIMIT)))),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
