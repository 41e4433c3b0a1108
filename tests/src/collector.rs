//! An OpenTelemetry collector: takes what comes by OTLP over HTTP and remembers it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{metric::Data, number_data_point},
};
use prost::Message as _;

/// Attributes by name, as text.
pub type Attributes = BTreeMap<String, String>;

/// A number that came.
#[derive(Debug, Clone)]
pub struct Number {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: Attributes,
    /// Its newest value.
    pub value: f64,
    /// Whether it only rises.
    pub rises: bool,
    /// What is said of the program that it is of.
    pub resource: Attributes,
}

/// A span that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// What is said of it.
    pub attributes: Attributes,
    /// What is said of the program that it is of.
    pub resource: Attributes,
}

#[derive(Debug, Default)]
struct Taken {
    numbers: BTreeMap<String, Number>,
    spans: Vec<Seen>,
    /// Every byte, to look for what must not be in them.
    bytes: Vec<u8>,
}

/// Takes until the test ends.
#[derive(Debug, Clone)]
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    /// Listens on a free port.
    #[track_caller]
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let taken: Arc<Mutex<Taken>> = Arc::default();
        let into = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let into = Arc::clone(&into);
                thread::spawn(move || answer(stream, &into));
            }
        });
        Self { address, taken }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The newest value of a number of a service, with all of these labels.
    pub fn number(&self, service: &str, name: &str, labels: &[(&str, &str)]) -> Option<Number> {
        let taken = self.taken.lock().expect("not poisoned");
        let mut numbers = taken.numbers.values();
        numbers
            .find(|number| {
                let has = |(label, text): &(&str, &str)| {
                    number.labels.get(*label).is_some_and(|found| found == text)
                };
                number.name == name && is_of(&number.resource, service) && labels.iter().all(has)
            })
            .cloned()
    }

    /// Spans of this name of a service so far.
    pub fn spans(&self, service: &str, name: &str) -> Vec<Seen> {
        let taken = self.taken.lock().expect("not poisoned");
        let of = |span: &&Seen| span.name == name && is_of(&span.resource, service);
        taken.spans.iter().filter(of).cloned().collect()
    }

    /// Whether these bytes came in anything.
    pub fn has_seen(&self, text: &str) -> bool {
        let taken = self.taken.lock().expect("not poisoned");
        let mut windows = taken.bytes.windows(text.len());
        windows.any(|bytes| bytes == text.as_bytes())
    }
}

fn is_of(resource: &Attributes, service: &str) -> bool {
    resource
        .get("service.name")
        .is_some_and(|name| name == service)
}

/// Answers requests of one connection until it ends.
fn answer(stream: TcpStream, into: &Mutex<Taken>) {
    let Ok(mut out) = stream.try_clone() else {
        return;
    };
    let mut reader = BufReader::new(stream);
    while let Some((path, body)) = request(&mut reader) {
        take(&path, &body, into);
        let answered = out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        if answered.is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path, body))
}

fn take(path: &str, body: &[u8], into: &Mutex<Taken>) {
    let mut taken = into.lock().expect("not poisoned");
    taken.bytes.extend(body);
    if path.ends_with("/v1/metrics") {
        let request = ExportMetricsServiceRequest::decode(body).expect("metrics by OTLP");
        for of in request.resource_metrics {
            let resource = texts(of.resource.map(|of| of.attributes).unwrap_or_default());
            for metric in of.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                let (points, rises) = match metric.data {
                    Some(Data::Sum(sum)) => (sum.data_points, sum.is_monotonic),
                    Some(Data::Gauge(gauge)) => (gauge.data_points, false),
                    other => panic!("{}: {other:?}", metric.name),
                };
                for point in points {
                    let labels = texts(point.attributes);
                    let value = match point.value {
                        Some(number_data_point::Value::AsDouble(value)) => value,
                        Some(number_data_point::Value::AsInt(value)) => value as f64,
                        None => f64::NAN,
                    };
                    let number = Number {
                        name: metric.name.clone(),
                        labels,
                        value,
                        rises,
                        resource: resource.clone(),
                    };
                    let key = format!("{:?} {} {:?}", resource, metric.name, number.labels);
                    taken.numbers.insert(key, number);
                }
            }
        }
    } else if path.ends_with("/v1/traces") {
        let request = ExportTraceServiceRequest::decode(body).expect("spans by OTLP");
        for of in request.resource_spans {
            let resource = texts(of.resource.map(|of| of.attributes).unwrap_or_default());
            for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                taken.spans.push(Seen {
                    name: span.name,
                    attributes: texts(span.attributes),
                    resource: resource.clone(),
                });
            }
        }
    } else {
        panic!("nobody speaks OTLP to {path}");
    }
}

fn texts(attributes: Vec<KeyValue>) -> Attributes {
    let text = |value: Value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(is) => is.to_string(),
        other => format!("{other:?}"),
    };
    let one = |of: KeyValue| Some((of.key, text(of.value?.value?)));
    attributes.into_iter().filter_map(one).collect()
}
