//! A loaded file as JSON, for looking at.

use super::node::{Node, Value};
use super::python;
use super::secrets::Place;

/// A tree as JSON. Secrets are left out; what JSON does not know is as Python prints it.
pub fn json(node: &Node) -> serde_json::Value {
    placed(node, Place::Root)
}

fn placed(node: &Node, place: Place) -> serde_json::Value {
    match &node.value {
        _ if place.is_secret(node) => "***".into(),
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => {
            i64::try_from(number.value).map_or_else(|_| number.text.to_string().into(), Into::into)
        }
        Value::Float(number) => serde_json::Number::from_f64(number.value)
            .map_or_else(|| number.text.to_string().into(), Into::into),
        Value::Str(text) => match text.split_once('?') {
            Some((path, _)) if place == Place::Path => format!("{path}?***").into(),
            _ => match text.rsplit_once('@') {
                Some((_, host)) if place == Place::Host => format!("***@{host}").into(),
                _ => text.to_string().into(),
            },
        },
        Value::Timestamp(_) | Value::Binary(_) | Value::Secret(_) => python::text(node).into(),
        Value::Seq(items) => items.iter().map(|item| placed(item, place)).collect(),
        Value::Map(map) => map
            .entries
            .iter()
            .map(|(key, value)| {
                let key = python::text(key);
                let value = placed(value, place.below(&key));
                (key, value)
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Limits, json, load};
    use crate::source::MapSources;

    const FILE: &str = "\
name: t
registries: {token: {registry: 'http://h:1', username: u, password: hunter2}}
ships: {a: {ip: 192.0.2.1}}
audit:
  - {type: slack, channel: c, token: hunter2}
  - {type: http, endpoint: 'https://h/hunter2', payload: {text: hunter2}, headers: {X: hunter2}}
services:
  auth:
    image: bb
    env: {A: b, DB_PASSWORD: hunter2}
    log_driver: splunk
    log_opt: {splunk-url: u, splunk-token: hunter2}
    lifecycle:
      running:
        - type: http
          port: 80
          path: /x?key=hunter2
          host: 'u:hunter2@h'
          requests_options:
            auth: [u, hunter2]
            headers: {Authorization: hunter2, Accept: hunter2}
            params: {key: hunter2}
            data: hunter2
            timeout: 1
    instances: {password: {ship: a}}
";

    #[test]
    fn secrets_are_left_out_and_names_are_not() {
        let loaded = load(&MapSources::of(FILE), &Limits::default());
        insta::assert_snapshot!(serde_json::to_string_pretty(&json(&loaded.tree.unwrap())).unwrap(), @r#"
        {
          "name": "t",
          "registries": {
            "token": {
              "registry": "http://h:1",
              "username": "u",
              "password": "***"
            }
          },
          "ships": {
            "a": {
              "ip": "192.0.2.1"
            }
          },
          "audit": [
            {
              "type": "slack",
              "channel": "c",
              "token": "***"
            },
            {
              "type": "http",
              "endpoint": "***",
              "payload": {
                "text": "***"
              },
              "headers": {
                "X": "***"
              }
            }
          ],
          "services": {
            "auth": {
              "image": "bb",
              "env": {
                "A": "b",
                "DB_PASSWORD": "***"
              },
              "log_driver": "splunk",
              "log_opt": {
                "splunk-url": "u",
                "splunk-token": "***"
              },
              "lifecycle": {
                "running": [
                  {
                    "type": "http",
                    "port": 80,
                    "path": "/x?***",
                    "host": "***@h",
                    "requests_options": {
                      "auth": "***",
                      "headers": {
                        "Authorization": "***",
                        "Accept": "***"
                      },
                      "params": {
                        "key": "***"
                      },
                      "data": "***",
                      "timeout": 1
                    }
                  }
                ]
              },
              "instances": {
                "password": {
                  "ship": "a"
                }
              }
            }
          }
        }
        "#);
    }
}
