//! An engine that says yes to everything, for environments by the hundred: what matters is what it is asked for.

use super::recorder::Call;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Names that the images of generated environments have.
const IMAGES: [&str; 5] =
    ["bb:latest", "front:latest", "shop/web:1.0", "reg.example.org:5000/x:2", "alias/img:1"];

/// The containers that were made.
#[derive(Debug, Default)]
pub(crate) struct Stub {
    containers: BTreeMap<String, Made>,
}

#[derive(Debug)]
struct Made {
    id: String,
    running: bool,
    config: Value,
}

impl Stub {
    /// Answers a call.
    pub(crate) fn answer(&mut self, call: &Call) -> (StatusCode, Value) {
        let parts: Vec<&str> = call.path.trim_start_matches('/').split('/').collect();
        match (call.method.clone(), parts.as_slice()) {
            (Method::GET, ["version"]) => {
                let versions = json!({"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"});
                (StatusCode::OK, versions)
            }
            (Method::GET | Method::HEAD, ["_ping"]) => (StatusCode::OK, Value::Null),
            (Method::GET, ["images", "json"]) => {
                let images =
                    IMAGES.iter().map(|image| json!({"Id": hexadecimal(image), "RepoTags": [image]}));
                (StatusCode::OK, images.collect())
            }
            (Method::GET, ["containers", "json"]) => {
                let list = self.containers.iter().map(|(name, made)| {
                    json!({
                        "Id": made.id,
                        "Names": [format!("/{name}")],
                        "Image": made.config["Image"],
                        "ImageID": hexadecimal(made.config["Image"].as_str().unwrap_or_default()),
                        "Labels": made.config["Labels"],
                        "State": if made.running { "running" } else { "created" },
                    })
                });
                (StatusCode::OK, list.collect())
            }
            (Method::GET, ["containers", reference, "json"]) => match self.find(reference) {
                None => missing(reference),
                Some((name, made)) => (StatusCode::OK, inspection(name, made)),
            },
            (Method::POST, ["containers", "create"]) => {
                let name = call.query.get("name").cloned().unwrap_or_default();
                let id = hexadecimal(&name);
                let made = Made { id: id.clone(), running: false, config: call.body.clone() };
                self.containers.insert(name, made);
                (StatusCode::CREATED, json!({"Id": id, "Warnings": null}))
            }
            (Method::POST, ["containers", reference, what]) => match self.find(reference) {
                None => missing(reference),
                Some((_, made)) => {
                    made.running = *what == "start";
                    (StatusCode::NO_CONTENT, Value::Null)
                }
            },
            (Method::POST, ["images", "create"]) => (StatusCode::OK, json!({"status": "Downloaded"})),
            (Method::POST, ["auth"]) => (StatusCode::OK, json!({"Status": "Login Succeeded"})),
            _ => (StatusCode::NOT_FOUND, json!({"message": "page not found"})),
        }
    }

    fn find(&mut self, reference: &str) -> Option<(&String, &mut Made)> {
        self.containers.iter_mut().find(|(name, made)| *name == reference || made.id == reference)
    }
}

fn missing(reference: &str) -> (StatusCode, Value) {
    (StatusCode::NOT_FOUND, json!({"message": format!("No such container: {reference}")}))
}

fn inspection(name: &str, made: &Made) -> Value {
    let never = "0001-01-01T00:00:00Z";
    json!({
        "Id": made.id,
        "Name": format!("/{name}"),
        "Image": hexadecimal(made.config["Image"].as_str().unwrap_or_default()),
        "RestartCount": 0,
        "Config": {"Image": made.config["Image"], "Labels": made.config["Labels"], "Hostname": name},
        "State": {
            "Status": if made.running { "running" } else { "created" },
            "Running": made.running,
            "ExitCode": 0,
            "StartedAt": if made.running { "2020-01-01T00:00:00Z" } else { never },
            "FinishedAt": never,
        },
    })
}

/// Sixty-four digits that stand for a name.
fn hexadecimal(name: &str) -> String {
    let mut digits = String::new();
    for byte in name.bytes().take(32) {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!("{digits:0<64}")
}
