//! Requests about files in containers, as tar archives.

use crate::fake_dockerd::answer::{Answer, empty, whole};
use crate::fake_dockerd::route::Call;
use crate::state::{Archived, Refusal};
use hyper::{Response, StatusCode};
use std::io::Read as _;

pub(crate) async fn put(mut call: Call, id: &str) -> Answer {
    let query = call.query(&["path", "noOverwriteDirNonDir", "copyUIDGID"])?;
    if query.text("path") != Some("/") || query.flag("noOverwriteDirNonDir") || query.flag("copyUIDGID") {
        return Err(Refusal::strict("only path=/ and no other settings are modelled").into());
    }
    let entries = read(&call.body().await?).map_err(|e| Refusal::bad(e.to_string()))?;
    call.daemon.put_archive(id, entries).await?;
    Ok(empty(StatusCode::OK))
}

pub(crate) async fn get(call: &Call, id: &str) -> Answer {
    let query = call.query(&["path"])?;
    let path = query.text("path").ok_or_else(|| Refusal::bad("missing path"))?;
    let entries = call.daemon.get_archive(id, path).await?;
    let bytes = write(&entries).map_err(|e| Refusal::failed(e.to_string()))?;
    let mut answer = Response::new(whole(bytes));
    let kind = hyper::header::HeaderValue::from_static("application/x-tar");
    answer.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    Ok(answer)
}

fn read(bytes: &[u8]) -> std::io::Result<Vec<Archived>> {
    let mut entries = Vec::new();
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().trim_matches('/').to_owned();
        let content = if entry.header().entry_type().is_dir() {
            None
        } else {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Some(content)
        };
        entries.push(Archived { path, content });
    }
    Ok(entries)
}

fn write(entries: &[Archived]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        let content = entry.content.as_deref();
        header.set_size(content.map_or(0, |content| content.len() as u64));
        header.set_mode(if content.is_some() { 0o644 } else { 0o755 });
        let path = match content {
            Some(_) => entry.path.clone(),
            None => {
                header.set_entry_type(tar::EntryType::Directory);
                format!("{}/", entry.path)
            }
        };
        archive.append_data(&mut header, path, content.unwrap_or_default())?;
    }
    archive.into_inner()
}
