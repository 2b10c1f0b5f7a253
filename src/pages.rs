//! What a GET shows: GraphPipe's metadata as JSON, its lifecycle routes, health, and metrics.
//!
//! | path | answer |
//! | --- | --- |
//! | `/models/NAME` | that model's metadata |
//! | `/control/is_ready`, `is_alive`, `client_count` | as GraphPipe's servers, whatever the method |
//! | `/control/shutdown` | refused: a model server is not stopped by whoever can reach it |
//! | `/v2/health/live`, `/v2/health/ready` | `{"live":true}`, `{"ready":true}` |
//! | `/metrics` | Prometheus text |
//! | any other | the default model's metadata |

use crate::daemon::Daemon;
use crate::metrics;
use graphpipe_schema::metadata::{Io, Metadata};
use graphpiped_backend_api::{Signature, TensorSpec};
use graphpiped_transport::service::{Page, Route};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

/// The page of a path.
pub fn page(daemon: &Daemon, path: &str) -> Page {
    let is_ready = !daemon.control.is_draining();
    match path {
        "/control/is_ready" if is_ready => text(200, "ok\n"),
        "/control/is_ready" => text(503, "not ready\n"),
        "/control/is_alive" => text(200, "ok\n"),
        "/control/client_count" => text(200, format!("{}\n", daemon.control.connections())),
        "/control/shutdown" => text(403, "there is no shutdown over the network; stop the service, or send SIGTERM\n"),
        "/v2/health/live" => json(200, "{\"live\":true}".into()),
        "/v2/health/ready" if is_ready => json(200, "{\"ready\":true}".into()),
        "/v2/health/ready" => json(503, "{\"ready\":false}".into()),
        "/metrics" => Page { status: 200, content_type: METRICS, body: metrics::render(daemon) },
        _ => match daemon.registry.route(Route::Http(path), b"", b"") {
            Ok(model) => json(200, daemon.registry.entries()[model].served.page.clone()),
            Err(refusal) => text(refusal.code.http_status(), refusal.message + "\n"),
        },
    }
}

/// Whether a path is answered by its page even if the method is not GET. GraphPipe's lifecycle routes are; everything else
/// that is posted is an inference.
pub fn whatever_the_method(path: &str) -> bool {
    matches!(path, "/control/is_ready" | "/control/is_alive" | "/control/client_count" | "/control/shutdown")
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The media type that Prometheus wants for its text format.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn text(status: u16, body: impl Into<String>) -> Page {
    Page { status, content_type: TEXT, body: body.into() }
}

fn json(status: u16, body: String) -> Page {
    Page { status, content_type: JSON, body }
}

/// A model's metadata as GraphPipe's servers show it: these keys, types as numbers, `null` for what is not known.
pub fn metadata_page(metadata: &Metadata, signature: &Signature) -> String {
    let page = MetadataPage {
        name: &metadata.name,
        version: &metadata.version,
        server: &metadata.server,
        description: &metadata.description,
        inputs: ios(&metadata.inputs, &signature.inputs),
        outputs: ios(&metadata.outputs, &signature.outputs),
    };
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    page.serialize(&mut serializer).expect("texts and numbers can always be written as JSON");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn ios<'a>(ios: &'a [Io], specs: &[TensorSpec]) -> Option<Vec<IoPage<'a>>> {
    let page = |(io, spec): (&'a Io, &TensorSpec)| IoPage {
        name: &io.name,
        description: &io.description,
        // GraphPipe's messages cannot tell an unknown rank from rank 0, but JSON can.
        shape: spec.dims.is_some().then(|| io.shape.dims()),
        dtype: io.dtype as u8,
    };
    (!ios.is_empty()).then(|| ios.iter().zip(specs).map(page).collect())
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct MetadataPage<'a> {
    name: &'a str,
    version: &'a str,
    server: &'a str,
    description: &'a str,
    inputs: Option<Vec<IoPage<'a>>>,
    outputs: Option<Vec<IoPage<'a>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct IoPage<'a> {
    name: &'a str,
    description: &'a str,
    shape: Option<&'a [i64]>,
    #[serde(rename = "Type")]
    dtype: u8,
}

#[cfg(test)]
mod tests;
