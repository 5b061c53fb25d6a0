//! An engine that says yes to everything, for environments by the hundred: what matters is what it is asked for.

use super::recorder::Call;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Names that the images of generated environments have.
const IMAGES: [&str; 5] =
    ["bb:latest", "front:latest", "shop/web:1.0", "reg.example.org:5000/x:2", "alias/img:1"];

/// The containers that were made, and the images that were pulled.
#[derive(Debug, Default)]
pub(crate) struct Stub {
    containers: BTreeMap<String, Made>,
    pulled: BTreeSet<String>,
    /// How many containers there have been.
    count: u32,
}

#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) running: bool,
    /// What it was asked to be made with.
    pub(crate) config: Value,
    stopped: bool,
}

impl Stub {
    /// The containers that are there, by their names.
    pub(crate) fn containers(&self) -> &BTreeMap<String, Made> {
        &self.containers
    }

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
                let images = IMAGES.iter().copied().chain(self.pulled.iter().map(String::as_str));
                let images = images.map(|image| json!({"Id": image_id(image), "RepoTags": [image]}));
                (StatusCode::OK, images.collect())
            }
            (Method::GET, ["containers", "json"]) => {
                let list = self.containers.iter().map(|(name, made)| {
                    json!({
                        "Id": made.id,
                        "Names": [format!("/{name}")],
                        "Image": made.config["Image"],
                        "ImageID": image_id(made.config["Image"].as_str().unwrap_or_default()),
                        "Labels": made.config["Labels"],
                        "State": made.state(),
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
                if self.containers.contains_key(&name) {
                    let message = format!("Conflict. The container name \"/{name}\" is already in use");
                    return (StatusCode::CONFLICT, json!({"message": message}));
                }
                self.count += 1;
                let id = hexadecimal(&format!("{:08}{name}", self.count));
                let made = Made { id: id.clone(), running: false, config: call.body.clone(), stopped: false };
                self.containers.insert(name, made);
                (StatusCode::CREATED, json!({"Id": id, "Warnings": null}))
            }
            (Method::POST, ["containers", reference, what]) => match self.find(reference) {
                None => missing(reference),
                Some((_, made)) => {
                    made.running = *what == "start";
                    made.stopped = !made.running;
                    (StatusCode::NO_CONTENT, Value::Null)
                }
            },
            (Method::DELETE, ["containers", reference]) => match self.find(reference) {
                None => missing(reference),
                Some((name, _)) => {
                    let name = name.clone();
                    self.containers.remove(&name);
                    (StatusCode::NO_CONTENT, Value::Null)
                }
            },
            (Method::POST, ["images", "create"]) => {
                let said = |name: &str| call.query.get(name).cloned().unwrap_or_default();
                self.pulled.insert(format!("{}:{}", said("fromImage"), said("tag")));
                (StatusCode::OK, json!({"status": "Downloaded"}))
            }
            (Method::POST, ["auth"]) => (StatusCode::OK, json!({"Status": "Login Succeeded"})),
            _ => (StatusCode::NOT_FOUND, json!({"message": "page not found"})),
        }
    }

    fn find(&mut self, reference: &str) -> Option<(&String, &mut Made)> {
        self.containers.iter_mut().find(|(name, made)| *name == reference || made.id == reference)
    }
}

impl Made {
    pub(crate) fn state(&self) -> &'static str {
        match (self.running, self.stopped) {
            (true, _) => "running",
            (false, true) => "exited",
            (false, false) => "created",
        }
    }
}

fn missing(reference: &str) -> (StatusCode, Value) {
    (StatusCode::NOT_FOUND, json!({"message": format!("No such container: {reference}")}))
}

fn inspection(name: &str, made: &Made) -> Value {
    let (never, once) = ("0001-01-01T00:00:00Z", "2020-01-01T00:00:00Z");
    let config = &made.config;
    json!({
        "Id": made.id,
        "Name": format!("/{name}"),
        "Image": image_id(config["Image"].as_str().unwrap_or_default()),
        "RestartCount": 0,
        "Config": {
            "Image": config["Image"],
            "Labels": config["Labels"],
            "Env": config["Env"],
            "Hostname": name,
        },
        "State": {
            "Status": made.state(),
            "Running": made.running,
            "ExitCode": 0,
            "StartedAt": if made.running || made.stopped { once } else { never },
            "FinishedAt": if made.stopped { once } else { never },
        },
    })
}

/// The id of an image with this name.
fn image_id(name: &str) -> String {
    format!("sha256:{}", hexadecimal(name))
}

/// Sixty-four digits that stand for a name.
fn hexadecimal(name: &str) -> String {
    let mut digits = String::new();
    for byte in name.bytes().take(32) {
        write!(digits, "{byte:02x}").unwrap();
    }
    format!("{digits:0<64}")
}
