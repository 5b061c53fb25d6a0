//! The images that every fleet can have: a small shop of three services, and the bare base image.

use super::command::Runner;
use super::error::FleetError;
use super::image::{Entry, Image, Layer, layer};
use super::install::Installation;
use serde_json::{Value, json};

/// Serves /www until it is told to stop, as process 1 of a container: it reaps nothing and needs no more.
const SERVE: &str = r#"#!/bin/sh
trap 'kill $! 2>/dev/null; exit 0' TERM INT
if [ -n "$START_DELAY" ]; then sleep "$START_DELAY" & wait $!; fi
echo "$SHOP_NAME on $(hostname)" >/www/index.html
echo "$SHOP_NAME listens on port $PORT"
httpd -f -vv -p "$PORT" -h /www &
wait $!
"#;

/// Accepts connections, greets and hangs up; counts its starts in /data, so that a volume can be seen to last.
const STORE: &str = r#"#!/bin/sh
trap 'kill $! 2>/dev/null; exit 0' TERM INT
if [ -n "$START_DELAY" ]; then sleep "$START_DELAY" & wait $!; fi
echo start >>/data/starts
echo "$SHOP_NAME listens on port $PORT, start number $(wc -l </data/starts)"
nc -ll -p "$PORT" -e echo "$SHOP_NAME is ready" &
wait $!
"#;

/// One second, in the unit of an image configuration.
const SECOND: u64 = 1_000_000_000;

/// A ready-made image, and what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Repository, without the registry.
    pub repository: &'static str,
    /// Tag.
    pub tag: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Base,
    Foreign,
    Web { healthy: bool },
    Api,
    Store,
}

/// All ready-made images.
///
/// `shop/web`, `shop/api`: an HTTP server on `PORT` (8080) with the name, release and host name on `/` and
/// `/healthz`; `shop/web:broken` has no `/healthz`. `shop/db`: accepts connections on 5432, volume `/data`.
/// `shop/api` and `shop/db` have a HEALTHCHECK. `START_DELAY=N` makes each start N seconds late. All stop at once
/// on SIGTERM. `bb`: a shell and the usual programs; `bb:s390x` says that it was built for that architecture.
pub const READY: [Ready; 8] = [
    Ready { repository: "bb", tag: "latest", kind: Kind::Base },
    Ready { repository: "bb", tag: "s390x", kind: Kind::Foreign },
    Ready { repository: "shop/web", tag: "1.0", kind: Kind::Web { healthy: true } },
    Ready { repository: "shop/web", tag: "2.0", kind: Kind::Web { healthy: true } },
    Ready { repository: "shop/web", tag: "broken", kind: Kind::Web { healthy: false } },
    Ready { repository: "shop/api", tag: "1.0", kind: Kind::Api },
    Ready { repository: "shop/api", tag: "2.0", kind: Kind::Api },
    Ready { repository: "shop/db", tag: "1.0", kind: Kind::Store },
];

/// Builds all of [`READY`].
pub(crate) async fn build(installation: &Installation) -> Result<Vec<Image>, FleetError> {
    let base = base_layer(installation).await?;
    READY.iter().map(|ready| build_one(*ready, &base)).collect()
}

async fn base_layer(installation: &Installation) -> Result<Layer, FleetError> {
    let path = installation.busybox();
    let program = std::fs::read(&path).map_err(FleetError::io(format!("read {}", path.display())))?;
    let applets = Runner::default().run(&path.to_string_lossy(), &["--list"]).await?;
    let links: Vec<String> =
        applets.lines().filter(|name| *name != "busybox").map(|name| format!("bin/{name}")).collect();
    let mut entries: Vec<Entry<'_>> =
        ["bin", "etc", "root", "usr", "usr/bin", "var", "www", "data"].map(Entry::Directory).into();
    entries.push(Entry::File { path: "bin/busybox", mode: 0o755, content: &program });
    entries.push(Entry::File {
        path: "etc/passwd",
        mode: 0o644,
        content: b"root:x:0:0:root:/root:/bin/sh\n",
    });
    entries.push(Entry::File { path: "etc/group", mode: 0o644, content: b"root:x:0:\n" });
    entries.extend(links.iter().map(|path| Entry::Symlink { path, target: "busybox" }));
    layer(&entries)
}

fn build_one(ready: Ready, base: &Layer) -> Result<Image, FleetError> {
    let name = format!("{} {}", ready.repository, ready.tag);
    let script = |path, content: &'static str| Entry::File { path, mode: 0o755, content: content.as_bytes() };
    let healthz = Entry::File { path: "www/healthz", mode: 0o644, content: b"ok\n" };
    let mut layers = vec![base.clone()];
    let config = match ready.kind {
        Kind::Base | Kind::Foreign => json!({ "Env": [PATH], "Cmd": ["sh"] }),
        Kind::Web { healthy } => {
            let mut entries = vec![script("usr/bin/serve", SERVE)];
            entries.extend(healthy.then_some(healthz));
            layers.push(layer(&entries)?);
            runs(&name, "serve", 8080)
        }
        Kind::Api => {
            layers.push(layer(&[script("usr/bin/serve", SERVE), healthz])?);
            let command = "wget -q -O /dev/null http://127.0.0.1:$PORT/healthz";
            with(runs(&name, "serve", 8080), "Healthcheck", check(command))
        }
        Kind::Store => {
            layers.push(layer(&[script("usr/bin/store", STORE)])?);
            let config = with(runs(&name, "store", 5432), "Volumes", json!({ "/data": {} }));
            with(config, "Healthcheck", check("nc -w 1 127.0.0.1 $PORT </dev/null"))
        }
    };
    let image = Image::new(ready.repository, ready.tag, layers, &config);
    Ok(if ready.kind == Kind::Foreign { image.built_for(ready.tag) } else { image })
}

const PATH: &str = "PATH=/usr/bin:/bin";

fn runs(name: &str, command: &str, port: u16) -> Value {
    json!({
        "Env": [PATH, format!("PORT={port}"), format!("SHOP_NAME={name}")],
        "Cmd": [command],
        "ExposedPorts": { format!("{port}/tcp"): {} },
    })
}

fn check(command: &str) -> Value {
    json!({ "Test": ["CMD-SHELL", command], "Interval": SECOND, "Timeout": 2 * SECOND, "Retries": 5 })
}

fn with(mut config: Value, key: &str, value: Value) -> Value {
    if let Some(config) = config.as_object_mut() {
        config.insert(key.to_owned(), value);
    }
    config
}
