//! Against servers on this machine that answer like Slack. Clocks are real where an exchange takes place, for a paused
//! one runs ahead of it.

use super::*;
use crate::probe::testing::{Answer, Server, answer};
use maestro_core::names::Secret;
use maestro_core::notification::{Audited, Moment, What};

fn notification() -> Notification {
    let web =
        Audited { instance: "web-1".into(), service: "web".into(), ship: "a".into(), ip: "192.0.2.1".into() };
    Notification { action: "start", what: What::Task(web), moment: Moment::Begins, who: "ops".into() }
}

async fn post(server: &Server) -> Result<(), String> {
    let slack =
        Slack { channel: "#ops".into(), token: Secret::new("hunter2"), name: "bot & co".into(), icon: None };
    let post = SlackPost::new(slack).at(format!("http://{}/api/chat.postMessage", server.address));
    post.tell(&notification()).await.map_err(|undelivered| undelivered.to_string())
}

#[tokio::test]
async fn a_message_is_posted() {
    let server = Server::new(vec![answer("200 OK", &[], r#"{"ok": true, "ts": "1.2"}"#)]).await;
    assert_eq!(post(&server).await, Ok(()));
    let requests = server.requests();
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert!(request.starts_with("POST /api/chat.postMessage HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer hunter2\r\n"), "{request}");
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let fields: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["channel", "username", "attachments", "mrkdwn"]);
    assert_eq!((&*fields[0].1, &*fields[1].1), ("#ops", "bot & co"));
}

#[tokio::test]
async fn too_many_is_tried_again_when_slack_says_so() {
    let busy = answer("429 Too Many Requests", &["Retry-After: 1"], "");
    let server = Server::new(vec![busy, answer("200 OK", &[], r#"{"ok": true}"#)]).await;
    let begin = Instant::now();
    assert_eq!(post(&server).await, Ok(()));
    assert_eq!(server.requests().len(), 2);
    assert!(begin.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn too_many_for_too_long_is_no_reason_to_wait() {
    let server = Server::new(vec![answer("429 Too Many Requests", &["Retry-After: 30"], "")]).await;
    let begin = Instant::now();
    let failure = post(&server).await.unwrap_err();
    assert_eq!(failure, "Slack wants no more messages for another 30 s");
    assert!(begin.elapsed() < LIMIT);
}

/// However short a pause is asked for.
#[tokio::test]
async fn pauses_are_at_least_a_second() {
    for header in ["Retry-After: 0", "Retry-After: soon", "X: y"] {
        let server = Server::new(vec![answer("429 Too Many Requests", &[header], "")]).await;
        let response = reqwest_get(&server).await;
        assert_eq!(pause(&response), Duration::from_secs(1), "{header}");
    }
}

async fn reqwest_get(server: &Server) -> Response {
    let client = web_client("http", "127.0.0.1").await.unwrap();
    client.get(format!("http://{}/", server.address)).send().await.unwrap()
}

#[tokio::test]
async fn what_is_no_success_says_why() {
    for (said, expected) in [
        (answer("200 OK", &[], r#"{"ok": false, "error": "invalid_auth"}"#), "Slack says: invalid_auth"),
        (answer("200 OK", &[], r#"{"ok": false}"#), "what answered is not Slack"),
        (answer("200 OK", &[], "<html>"), "what answered is not Slack"),
        (answer("200 OK", &[], vec![b' '; LONGEST_ANSWER + 1]), "what answered is not Slack"),
        (answer("503 Unavailable", &[], ""), "status 503"),
    ] {
        let server = Server::new(vec![said]).await;
        assert_eq!(post(&server).await, Err(expected.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_not_waited_for_for_ever() {
    for said in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let server = Server::new(vec![Answer::Stall(said.into())]).await;
        let begin = Instant::now();
        assert_eq!(post(&server).await, Err("no answer within 10 s".to_owned()));
        assert_eq!(begin.elapsed(), LIMIT);
    }
}
