//! An HTTP request for every action. What the server answers is its business, as long as it does.

use crate::probe::{root, seconds, web_client};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use maestro_core::boundary::{Auditor, Undelivered};
use maestro_core::model::{Webhook, WebhookMethod};
use maestro_core::notification::Notification;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Url};
use tokio::sync::OnceCell;
use tokio::time::timeout;

pub(super) struct WebhookCall {
    webhook: Webhook,
    /// Made when it is first needed, and kept; every call has a connection of its own.
    client: OnceCell<Client>,
}

impl WebhookCall {
    pub(super) fn new(webhook: Webhook) -> Self {
        Self { webhook, client: OnceCell::new() }
    }

    async fn call(&self, body: String) -> Result<(), Undelivered> {
        // The address may be the secret: no message repeats it.
        let url = Url::parse(self.webhook.endpoint.expose())
            .map_err(|error| Undelivered(format!("its `endpoint` is no address: {error}")))?;
        let client =
            self.client.get_or_try_init(|| web_client(url.scheme(), url.host_str().unwrap_or_default()));
        let client = client.await.map_err(|because| Undelivered(because.clone()))?;
        let method = match self.webhook.method {
            WebhookMethod::Get => Method::GET,
            WebhookMethod::Post => Method::POST,
        };
        let request = client.request(method, url.clone()).headers(self.headers()?).body(body);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(Undelivered(root(&error))),
        }
    }

    fn headers(&self) -> Result<HeaderMap, Undelivered> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(USER_AGENT, HeaderValue::from_static(super::AGENT));
        for (name, value) in &self.webhook.headers {
            let unfit = || Undelivered(format!("the header `{name}` cannot be sent"));
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            let mut value = HeaderValue::from_bytes(value.expose().as_bytes()).map_err(|_| unfit())?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        Ok(headers)
    }
}

impl Auditor for WebhookCall {
    fn tell<'a>(&'a self, notification: &'a Notification) -> BoxFuture<'a, Result<(), Undelivered>> {
        async {
            let body = notification
                .request_body(&self.webhook)
                .map_err(|because| Undelivered(format!("its `payload`: {because}")))?;
            let limit = self.webhook.timeout;
            let elapsed = |_| Undelivered(format!("no answer within {}", seconds(limit)));
            timeout(limit, self.call(body)).await.map_err(elapsed)?
        }
        .boxed()
    }
}
