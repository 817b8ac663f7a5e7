//! SQL, read-only: `/api/vervet/v1/sql`.
//!
//! `GET ?query=...`, `POST` of a form with `query`, or `POST` of the statement itself (`text/plain`). The answer is
//! streamed as JSON lines, CSV or an Arrow IPC stream, by `format` or the `Accept` header. What is wrong before the
//! first rows is a status and an error body. What goes wrong later ends JSON lines with a line `{"error": ...}`, and
//! breaks the connection of the others, so that nobody takes a part for the whole. Segments that could not be read are
//! named in a last JSON line `{"warnings": [...]}`; the other formats have no place for it, and fail.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::{HeaderMap, header};
use serde_json::{Value, json};
use vervet_store::{SqlEncoder, SqlFormat, SqlLimits, SqlRows};

use super::Shared;
use super::params::Params;
use super::response::{ErrorCode, Failure, VervetFailure, add_warnings};

const FORMS: [(SqlFormat, &str, &str); 3] = [
    (SqlFormat::JsonLines, "json", "application/x-ndjson"),
    (SqlFormat::Csv, "csv", "text/csv"),
    (
        SqlFormat::Arrow,
        "arrow",
        "application/vnd.apache.arrow.stream",
    ),
];

pub(super) async fn sql(
    State(context): State<Shared>,
    request: Request,
) -> Result<Response, VervetFailure> {
    let headers = request.headers().clone();
    let (params, statement) = Params::with_text(request).await.map_err(Failure::invalid)?;
    let query = statement
        .or_else(|| params.get("query").map(str::to_owned))
        .ok_or_else(|| Failure::invalid("the parameter \"query\" is missing"))?;
    let format = format(&params, &headers)?;
    let limits = SqlLimits {
        rows: params.parse("limit", |text| text.parse().ok())?,
        ..SqlLimits::default()
    };
    let mut rows = context.store.sql_rows(&query, limits).await?;
    let mut encoder = SqlEncoder::new(format, &rows.schema())?;
    // The answer begins with the first rows, so that a statement that fails at once has an error as its status.
    let first = match rows.next().await {
        Some(batch) => encoder.rows(&batch?)?,
        None => {
            unmentionable(&rows, format)?;
            Vec::new()
        }
    };
    let answer = Answer {
        rows,
        encoder,
        format,
        first: Some(first),
        is_over: false,
    };
    let body = Body::from_stream(stream::unfold(answer, Answer::step));
    let content_type = FORMS
        .iter()
        .find(|(form, _, _)| *form == format)
        .map_or("", |(_, _, content_type)| content_type);
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

fn format(params: &Params, headers: &HeaderMap) -> Result<SqlFormat, Failure> {
    if let Some(name) = params.get("format") {
        let form = FORMS.iter().find(|(_, known, _)| *known == name);
        return form
            .map(|(form, _, _)| *form)
            .ok_or_else(|| Failure::invalid("format must be json, csv or arrow"));
    }
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let wanted = accept.split(',').find_map(|part| {
        let part = part.split(';').next()?.trim();
        FORMS
            .iter()
            .find(|(_, _, content_type)| *content_type == part)
    });
    Ok(wanted.map_or(SqlFormat::JsonLines, |(form, _, _)| *form))
}

/// # Errors
/// Segments could not be read, and the format has no place to say so.
fn unmentionable(rows: &SqlRows, format: SqlFormat) -> Result<(), Failure> {
    let warnings = rows.warnings();
    if warnings.is_empty() || format == SqlFormat::JsonLines {
        return Ok(());
    }
    let message = format!(
        "{}; as JSON lines (format=json) the other rows are answered",
        warnings.join("; ")
    );
    Err(Failure::new(ErrorCode::Internal, message))
}

fn line(value: &Value) -> Vec<u8> {
    let mut line = value.to_string();
    line.push('\n');
    line.into_bytes()
}

/// An answer under way. Dropping it, as happens when the client goes away, ends the query.
struct Answer {
    rows: SqlRows,
    encoder: SqlEncoder,
    format: SqlFormat,
    first: Option<Vec<u8>>,
    is_over: bool,
}

impl Answer {
    async fn step(mut self) -> Option<(Result<Bytes, Broken>, Self)> {
        if self.is_over {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some((Ok(first.into()), self));
        }
        let bytes = match self.rows.next().await {
            Some(batch) => {
                let bytes = batch.and_then(|batch| self.encoder.rows(&batch));
                bytes.map_err(Failure::from)
            }
            None => {
                self.is_over = true;
                self.end()
            }
        };
        self.is_over |= bytes.is_err();
        let bytes = match (bytes, self.format) {
            (Err(failure), SqlFormat::JsonLines) => Ok(line(&failure.vervet_json())),
            (Err(_failure), _) => Err(Broken),
            (Ok(bytes), _) => Ok(bytes),
        };
        Some((bytes.map(Bytes::from), self))
    }

    /// What comes after the last row.
    fn end(&mut self) -> Result<Vec<u8>, Failure> {
        unmentionable(&self.rows, self.format)?;
        let mut bytes = self.encoder.finish(&self.rows.schema())?;
        let mut note = json!({});
        add_warnings(&mut note, &self.rows.warnings());
        if note != json!({}) {
            bytes.extend(line(&note));
        }
        Ok(bytes)
    }
}

/// Ends a connection in the middle of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer broke off")]
struct Broken;
