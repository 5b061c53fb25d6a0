//! Images made from nothing but a static busybox and a few files, without an engine.
//!
//! The same image goes to the registry (layers, configuration, manifest) or straight to an engine (an archive as
//! `docker save` writes it). Everything is built the same way every time, so digests do not change between fleets.

use super::error::FleetError;
use hyper::body::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One layer: a tar, not compressed (the cables here are faster than any compression).
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) tar: Bytes,
    pub(crate) digest: String,
}

/// A file of a layer.
#[derive(Debug)]
pub(crate) enum Entry<'a> {
    Directory(&'a str),
    File { path: &'a str, mode: u32, content: &'a [u8] },
    Symlink { path: &'a str, target: &'a str },
}

/// An image: where it is pushed, what it is made of, how it runs.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) repository: String,
    pub(crate) tag: String,
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: Bytes,
}

/// `sha256:` and the hexadecimal digest of some bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        write!(text, "{byte:02x}").ok();
    }
    text
}

/// Builds a layer. All files belong to root and are as old as the epoch.
pub(crate) fn layer(entries: &[Entry<'_>]) -> Result<Layer, FleetError> {
    let failed = || FleetError::io("build an image layer");
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        let (path, content): (&str, &[u8]) = match entry {
            Entry::Directory(path) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(0o755);
                (path, &[])
            }
            Entry::File { path, mode, content } => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(*mode);
                (path, content)
            }
            Entry::Symlink { path, target } => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                header.set_link_name(target).map_err(failed())?;
                (path, &[])
            }
        };
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, path, content).map_err(failed())?;
    }
    let tar = Bytes::from(builder.into_inner().map_err(failed())?);
    Ok(Layer { digest: digest(&tar), tar })
}

impl Image {
    /// An image of some layers; `run` is the `config` object of an image configuration (`Cmd`, `Env`, …).
    pub(crate) fn new(repository: &str, tag: &str, layers: Vec<Layer>, run: &Value) -> Image {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": run,
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "history": diff_ids.iter().map(|_| json!({ "created_by": "maestro practice fleet" })).collect::<Vec<_>>(),
        });
        Image {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            layers,
            config: Bytes::from(config.to_string()),
        }
    }

    /// The same, which says that it was built for another architecture.
    #[must_use]
    pub(crate) fn built_for(mut self, architecture: &str) -> Image {
        if let Ok(Value::Object(mut config)) = serde_json::from_slice(&self.config) {
            config.insert("architecture".to_owned(), architecture.into());
            self.config = Bytes::from(Value::Object(config).to_string());
        }
        self
    }

    /// The image manifest, schema 2.
    pub(crate) fn manifest(&self) -> Bytes {
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| {
                json!({
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar",
                    "size": layer.tar.len(),
                    "digest": layer.digest,
                })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": self.config.len(),
                "digest": digest(&self.config),
            },
            "layers": layers,
        });
        Bytes::from(manifest.to_string())
    }

    /// The archive for `POST /images/load`, with the image named `reference`.
    pub(crate) fn archive(&self, reference: &str) -> Result<Bytes, FleetError> {
        let config_name = format!("{}.json", digest(&self.config).trim_start_matches("sha256:"));
        let layer_names: Vec<String> = self
            .layers
            .iter()
            .map(|layer| format!("{}.tar", layer.digest.trim_start_matches("sha256:")))
            .collect();
        let manifest = json!([{ "Config": config_name, "RepoTags": [reference], "Layers": layer_names }]);
        let manifest = manifest.to_string();
        let file = |path, content| Entry::File { path, mode: 0o644, content };
        let mut entries = vec![
            file("manifest.json", manifest.as_bytes()),
            file(config_name.as_str(), self.config.as_ref()),
        ];
        for (name, layer) in layer_names.iter().zip(&self.layers) {
            entries.push(file(name, layer.tar.as_ref()));
        }
        Ok(layer(&entries)?.tar)
    }
}

/// Media type of an image manifest.
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_make_the_same_digest() {
        let build =
            || layer(&[Entry::Directory("tmp"), Entry::File { path: "a", mode: 0o644, content: b"x" }]);
        assert_eq!(build().unwrap().digest, build().unwrap().digest);
    }

    #[test]
    fn a_digest_is_what_a_registry_computes() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(b""), empty);
    }
}
