//! The JSON of query answers, and what they are charged.

use std::time::Duration;

use vervet_model::UnixMillis;
use vervet_promql::{
    Engine, EngineOptions, InstantSample, Queryable, QueryableError, SelectRequest, Series,
};

use super::*;

const SERIES: usize = 200;

/// Many series of one sample a second.
struct Many;

impl Queryable for Many {
    fn select(&self, request: &SelectRequest<'_>) -> Result<Vec<Series>, QueryableError> {
        let one = |index: usize| Series {
            labels: Labels::from_pairs([("__name__", "m".to_owned()), ("i", index.to_string())]),
            samples: (0..=request.end.0 / 1000)
                .map(|second| Sample {
                    timestamp: second * 1000,
                    value: 0.1 + second as f64,
                })
                .collect(),
        };
        Ok((0..SERIES).map(one).collect())
    }
}

fn engine(memory_max: usize) -> Engine {
    Engine::new(EngineOptions {
        memory_max,
        ..EngineOptions::default()
    })
}

fn range(engine: &Engine, query: &str) -> QueryOutput {
    let (start, end) = (UnixMillis(0), UnixMillis(100_000));
    engine
        .range(&Many, query, start, end, Duration::from_secs(1))
        .unwrap()
}

#[test]
fn values_have_prometheus_shapes() {
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
    let at = |timestamp, value| Sample { timestamp, value };
    let vector = Value::Vector(vec![InstantSample {
        labels: labels.clone(),
        sample: at(1_500, f64::INFINITY),
    }]);
    let matrix = Value::Matrix(vec![Series {
        labels,
        samples: vec![at(1_500, f64::INFINITY), at(2_000, 0.1)],
    }]);
    let text = Value::String {
        timestamp: 1_000,
        value: "hi".to_owned(),
    };
    let scalar = Value::Scalar(at(1_500, f64::INFINITY));
    let json = |value: &Value| {
        let mut text = Vec::new();
        let answer = Answer {
            value,
            notes: [("warnings", &[]), ("infos", &[])],
        };
        let all = 0..answer.elements();
        AnswerWriter::new(&mut text).piece(&answer, all).unwrap();
        let text = String::from_utf8(text).unwrap();
        let data = text.strip_prefix(r#"{"status":"success","data":"#);
        data.unwrap().strip_suffix('}').unwrap().to_owned()
    };
    assert_eq!(
        json(&vector),
        r#"{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1.5,"+Inf"]}]}"#
    );
    assert_eq!(
        json(&matrix),
        r#"{"resultType":"matrix","result":[{"metric":{"__name__":"up","job":"a\"b"},"values":[[1.5,"+Inf"],[2,"0.1"]]}]}"#
    );
    assert_eq!(
        json(&scalar),
        r#"{"resultType":"scalar","result":[1.5,"+Inf"]}"#
    );
    assert_eq!(json(&text), r#"{"resultType":"string","result":[1,"hi"]}"#);
}

#[test]
fn an_answer_names_warnings_and_infos_only_where_there_are_some() {
    let mut output = range(&engine(64 << 20), "vector(1)");
    output.infos.push("look".to_owned());
    let noted = parsed(&pieces(output).unwrap());
    assert_eq!(noted["infos"][0], "look");
    let plain = parsed(&pieces(range(&engine(64 << 20), "vector(1)")).unwrap());
    assert_eq!(plain["status"], "success");
    assert!(plain.get("warnings").is_none() && plain.get("infos").is_none());
}

fn parsed(pieces: &[Bytes]) -> serde_json::Value {
    serde_json::from_slice(&pieces.concat()).unwrap()
}

#[test]
fn a_long_answer_is_the_same_in_pieces() {
    let engine = engine(64 << 20);
    let pieces = pieces(range(&engine, "m")).unwrap();
    assert!(pieces.len() > 1, "{} pieces", pieces.len());
    let answer = parsed(&pieces);
    let result = answer["data"]["result"].as_array().unwrap();
    let names: Vec<&str> = result
        .iter()
        .map(|series| series["metric"]["i"].as_str().unwrap())
        .collect();
    let mut sorted: Vec<String> = (0..SERIES).map(|index| index.to_string()).collect();
    sorted.sort();
    assert_eq!(names, sorted);
    let first = &result[0]["values"];
    assert_eq!(first.as_array().unwrap().len(), 101);
    assert_eq!(first[100], serde_json::json!([100, "100.1"]));
}

#[test]
fn an_answer_of_no_series_is_whole() {
    let answer = parsed(&pieces(range(&engine(64 << 20), "m > 1000")).unwrap());
    assert_eq!(answer["data"]["result"], serde_json::json!([]));
}

#[test]
fn an_answer_is_charged_until_its_last_byte_is_gone() {
    let engine = engine(64 << 20);
    let pieces = pieces(range(&engine, "m")).unwrap();
    let length: usize = pieces.iter().map(Bytes::len).sum();
    assert!(engine.memory_used() >= length, "{length}");
    let part = pieces[0].slice(..10);
    drop(pieces);
    assert!(engine.memory_used() > 0, "a part is still held");
    drop(part);
    assert_eq!(engine.memory_used(), 0);
}

#[test]
fn an_answer_that_does_not_fit_is_refused() {
    let full = engine(64 << 20);
    // In JSON each letter takes six.
    let letters = "\\x01".repeat(4_000);
    let query = format!("label_replace(m, \"l\", \"{letters}\", \"\", \"\")");
    let output = range(&full, &query);
    // Enough for the query, and not for its text beside it.
    let tight = engine(output.memory.peak() + (64 << 10));
    let error = pieces(range(&tight, &query)).unwrap_err();
    let QueryError::Memory(MemoryError::Query { what, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(what, "the text of the answer");
    assert_eq!(tight.memory_used(), 0);
}
