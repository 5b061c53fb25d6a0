//! The check that an HTTP request is answered well.

use super::clients::Clients;
use super::search::{Body, Pattern, Patterns};
use super::{Attempt, Budget, Fault, address, retry, seconds, words};
use crate::trust::is_authority;
use maestro_core::boundary::CheckFailure;
use maestro_core::model::{Fields, HttpCheck};
use reqwest::header::{AUTHORIZATION, HeaderName, USER_AGENT};
use reqwest::{Client, Method, Request, StatusCode};
use rustls::CertificateError;
use std::error::Error;
use std::io;
use tokio::time::{Instant, timeout};

/// Asks until the answer is good or `max_wait` is over.
pub(super) async fn check(
    clients: &Clients,
    patterns: &Patterns,
    check: &HttpCheck,
) -> Result<(), CheckFailure> {
    let what = describe(check);
    let untried = |last: String| untried(check, last);
    if check.max_wait.is_zero() {
        return Err(untried("`max_wait` is 0, which leaves no time for a try".to_owned()));
    }
    let deadline = Instant::now() + check.max_wait;
    let client = clients.get(check).await.map_err(untried)?;
    // An empty pattern is none: maestro-ng looked at the status then.
    let pattern = match check.match_regex.clone().filter(|pattern| !pattern.is_empty()) {
        Some(pattern) => Some(patterns.get(pattern).await.map_err(untried)?),
        None => None,
    };
    let asking = Asking { check, client, pattern, deadline };
    retry(what, Budget::Until(deadline), asking).await
}

/// That a check cannot even be tried.
pub(super) fn untried(check: &HttpCheck, because: String) -> CheckFailure {
    CheckFailure { check: describe(check), attempts: 0, last: because }
}

/// The same question, again and again.
struct Asking<'a> {
    check: &'a HttpCheck,
    client: Client,
    pattern: Option<Pattern>,
    deadline: Instant,
}

impl Attempt for Asking<'_> {
    async fn attempt(&mut self) -> Result<(), Fault> {
        let request = request(&self.client, self.check).map_err(Fault::Lasting)?;
        let limit = self.check.options.timeout.unwrap_or_else(|| self.deadline - Instant::now());
        let exchange = async {
            let response = self.client.execute(request).await?;
            let status = response.status();
            // The status is in the first line: without a pattern, a long body costs nothing.
            let body = if self.pattern.is_some() { Some(Body::read(response).await?) } else { None };
            Ok::<_, reqwest::Error>((status, body))
        };
        let (status, body) = match timeout(limit, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(Fault::Passing(root(&error))),
            Err(_) => return Err(Fault::Passing(format!("no complete answer within {}", seconds(limit)))),
        };
        match (&self.pattern, body) {
            (Some(pattern), Some(body)) => {
                let found = pattern.search(body, self.deadline).await;
                found.map_err(|because| Fault::Passing(format!("{because} (status {})", status.as_u16())))
            }
            _ if status == StatusCode::OK => Ok(()),
            _ => Err(Fault::Passing(format!("status {}", status.as_u16()))),
        }
    }
}

/// What is checked, for people: without a query or a login, which may be secret.
fn describe(check: &HttpCheck) -> String {
    let host = check.host.rsplit_once('@').map_or(&*check.host, |(_, host)| host);
    let (path, query) = check.path.split_once('?').map_or((&*check.path, ""), |(path, _)| (path, "?…"));
    format!("http {} {}://{}{path}{query}", check.method, check.scheme, address(host, check.port))
}

fn request(client: &Client, check: &HttpCheck) -> Result<Request, String> {
    let options = &check.options;
    let method = Method::from_bytes(check.method.as_bytes())
        .map_err(|_| format!("`{}` is no HTTP method", super::quote(&check.method)))?;
    let mut url = format!("{}://{}{}", check.scheme, address(&check.host, check.port), check.path);
    if let Fields::Text(query) = &options.params
        && !query.is_empty()
    {
        url.push(if check.path.contains('?') { '&' } else { '?' });
        url.push_str(query);
    }
    let mut request = client.request(method, url);
    if let Fields::Pairs(pairs) = &options.params
        && !pairs.is_empty()
    {
        request = request.query(pairs);
    }
    let names = |name: &str, header: &HeaderName| name.eq_ignore_ascii_case(header.as_str());
    if !options.headers.keys().any(|name| names(name, &USER_AGENT)) {
        request = request.header(USER_AGENT, concat!("maestro/", env!("CARGO_PKG_VERSION")));
    }
    if let Some((user, password)) = &options.auth {
        request = request.basic_auth(user, Some(password.expose()));
    }
    for (name, value) in &options.headers {
        // `auth` wins, as in requests.
        let Some(value) = value.as_ref().filter(|_| options.auth.is_none() || !names(name, &AUTHORIZATION))
        else {
            continue;
        };
        request = request.header(name, value);
    }
    request = match &options.data {
        Some(Fields::Text(text)) => request.body(text.clone()),
        Some(Fields::Pairs(pairs)) if !pairs.is_empty() => request.form(pairs),
        Some(Fields::Pairs(_)) | None => request,
    };
    request.build().map_err(|error| format!("no such request can be made: {}", root(&error)))
}

/// Why there was no answer, in people's words. The outer layers of the error only say that there was none.
pub(crate) fn root(error: &reqwest::Error) -> String {
    why(error, "`verify` can name a file with the one to trust")
}

/// The same, and what to do where a server is not trusted.
pub(crate) fn why(error: &reqwest::Error, untrusted: &str) -> String {
    if error.is_redirect() {
        return "too many redirects".to_owned();
    }
    let mut deepest: Option<&(dyn Error + 'static)> = None;
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(tls) = tls(source, untrusted) {
            return tls;
        }
        deepest = Some(source);
        next = source.source();
    }
    match deepest {
        None => "it is not well-formed".to_owned(),
        Some(error) => error.downcast_ref::<io::Error>().map_or_else(|| error.to_string(), words),
    }
}

/// What is wrong with a certificate, if this error is about one. Layers of IO errors hide each other as sources.
fn tls(error: &(dyn Error + 'static), untrusted: &str) -> Option<String> {
    if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        return tls(inner, untrusted);
    }
    let rustls::Error::InvalidCertificate(wrong) = error.downcast_ref()? else { return None };
    let untrusted =
        || format!("the server's certificate is not signed by an authority that is trusted ({untrusted})");
    Some(match wrong {
        // A wrong signature is what another authority of the same name leads to, such as a renewed one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => untrusted(),
        // One that is signed by itself.
        CertificateError::Other(other) if is_authority(other) => untrusted(),
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            format!("the server's certificate is for another name: {}", presented.join(", "))
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        other => format!("the server's certificate is not good: {other}"),
    })
}

#[cfg(test)]
mod tests;
