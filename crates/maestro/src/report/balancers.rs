//! `balancers`, shown: which generation every front end serves, and where requests go.

use super::errors::ErrorReport;
use super::paint::{Paint, Tone};
use super::printer::{Printer, Stream};
use super::status::Output;
use super::text::{clean, pad, width};
use super::wire;
use maestro_core::balance::{Endpoint, Generation, Standing};
use maestro_core::boundary::FrontEndError;
use maestro_core::names::BalancerName;

/// A balancer, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub balancer: BalancerName,
    /// `haproxy`, `nginx` or `template`.
    pub kind: &'static str,
    /// The generation that its front ends should serve.
    pub wanted: Generation,
    /// Its front ends.
    pub front_ends: Vec<ShownFrontEnd>,
    /// Where its requests should go.
    pub endpoints: Vec<Endpoint>,
}

/// A front end, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownFrontEnd {
    /// Which.
    pub name: String,
    /// What it serves.
    pub serving: Result<Option<Generation>, FrontEndError>,
}

/// Prints balancers in the form asked for. Front ends that could not be asked are explained on standard error.
pub fn print(printer: &Printer, balancers: &[Shown], output: Output) {
    match output {
        Output::Table => printer.data(&tables(balancers, printer.paint(Stream::Out))),
        Output::Json | Output::Jsonl | Output::Yaml => {
            let entries: Vec<_> = balancers.iter().map(wire::BalancerEntry::from).collect();
            printer.data(&wire::list(output, &entries));
        }
        Output::Name => {
            let names = balancers.iter().map(|shown| shown.balancer.as_str());
            printer.data(&names.fold(String::new(), |text, name| text + name + "\n"));
        }
    }
    for shown in balancers {
        for front_end in &shown.front_ends {
            if let Err(error) = &front_end.serving {
                let subject = format!("front end {} of balancer {}", front_end.name, shown.balancer);
                ErrorReport::of(error).about(&subject).print(printer);
            }
        }
    }
}

/// A table of front ends, and one of endpoints.
fn tables(balancers: &[Shown], paint: Paint) -> String {
    if balancers.is_empty() {
        return "no balancers\n".to_owned();
    }
    let mut front_ends = vec![["BALANCER", "FRONT END", "SERVES", "SHOULD SERVE"].map(plain).to_vec()];
    let mut endpoints =
        vec![["BALANCER", "SERVICE", "PORT", "INSTANCE", "ADDRESS", "STATE", "WEIGHT"].map(plain).to_vec()];
    for shown in balancers {
        let name = (clean(shown.balancer.as_str()).into_owned(), Some(Tone::Strong));
        for front_end in &shown.front_ends {
            let serves = match &front_end.serving {
                Ok(Some(generation)) if *generation == shown.wanted => {
                    (generation.to_string(), Some(Tone::Good))
                }
                Ok(Some(generation)) => (generation.to_string(), Some(Tone::Warn)),
                Ok(None) => ("something else".to_owned(), Some(Tone::Warn)),
                Err(_) => ("unknown".to_owned(), Some(Tone::Bad)),
            };
            front_ends.push(vec![name.clone(), plain(&front_end.name), serves, plain(shown.wanted.as_str())]);
        }
        for endpoint in &shown.endpoints {
            let tone = match endpoint.standing {
                Standing::In => Tone::Good,
                Standing::Draining => Tone::Warn,
                Standing::Out => Tone::Calm,
            };
            endpoints.push(vec![
                name.clone(),
                plain(endpoint.service.as_str()),
                plain(&endpoint.port),
                plain(endpoint.instance.as_str()),
                plain(&address(endpoint)),
                (endpoint.standing.name().to_owned(), Some(tone)),
                plain(&endpoint.weight.to_string()),
            ]);
        }
    }
    format!("{}\n{}", columns(&front_ends, paint), columns(&endpoints, paint))
}

/// Address and port of an endpoint.
pub(super) fn address(endpoint: &Endpoint) -> String {
    if endpoint.address.contains(':') {
        format!("[{}]:{}", endpoint.address, endpoint.number)
    } else {
        format!("{}:{}", endpoint.address, endpoint.number)
    }
}

type Cell = (String, Option<Tone>);

fn plain(text: &str) -> Cell {
    (clean(text).into_owned(), None)
}

/// Rows under each other; every column is as wide as its widest cell.
fn columns(rows: &[Vec<Cell>], paint: Paint) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|(text, _)| width(text)).max();
    let widths: Vec<usize> = (0..count).map(|column| widest(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (at, ((text, tone), cells)) in row.iter().zip(&widths).enumerate() {
            let last = at + 1 == row.len();
            let text = if last { text.clone() } else { pad(text, *cells) };
            match tone {
                Some(tone) => paint.push(&mut line, *tone, &text),
                None => line.push_str(&text),
            }
            line.push_str(if last { "" } else { "  " });
        }
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Vec<Shown> {
        let generation = |digit: &str| Generation::parse(&digit.repeat(16)).unwrap();
        let front_end = |name: &str, serving| ShownFrontEnd { name: name.to_owned(), serving };
        let endpoint = |instance: &str, address: &str, standing| Endpoint {
            service: "web".into(),
            instance: instance.into(),
            port: "http".into(),
            address: address.into(),
            number: 8080,
            standing,
            portion: None,
            weight: 100,
        };
        vec![Shown {
            balancer: "front".into(),
            kind: "haproxy",
            wanted: generation("a"),
            front_ends: vec![
                front_end("edge-1", Ok(Some(generation("a")))),
                front_end("edge-2", Ok(Some(generation("b")))),
                front_end("edge-3", Ok(None)),
                front_end("edge-4", Err(FrontEndError::Unreachable("connection refused".to_owned()))),
            ],
            endpoints: vec![
                endpoint("web-1", "192.0.2.1", Standing::In),
                endpoint("web-2", "2001:db8::2", Standing::Draining),
            ],
        }]
    }

    #[test]
    fn a_table_says_who_serves_what() {
        insta::assert_snapshot!(tables(&shown(), Paint::new(false)), @"
        BALANCER  FRONT END  SERVES            SHOULD SERVE
        front     edge-1     aaaaaaaaaaaaaaaa  aaaaaaaaaaaaaaaa
        front     edge-2     bbbbbbbbbbbbbbbb  aaaaaaaaaaaaaaaa
        front     edge-3     something else    aaaaaaaaaaaaaaaa
        front     edge-4     unknown           aaaaaaaaaaaaaaaa

        BALANCER  SERVICE  PORT  INSTANCE  ADDRESS             STATE     WEIGHT
        front     web      http  web-1     192.0.2.1:8080      in        100
        front     web      http  web-2     [2001:db8::2]:8080  draining  100
        ");
        assert_eq!(tables(&[], Paint::new(false)), "no balancers\n");
    }

    #[test]
    fn machines_are_told_the_same() {
        let entries: Vec<_> = shown().iter().map(wire::BalancerEntry::from).collect();
        insta::assert_snapshot!(wire::list(Output::Jsonl, &entries), @r#"{"balancer":"front","kind":"haproxy","generation":"aaaaaaaaaaaaaaaa","current":false,"front_ends":[{"front_end":"edge-1","generation":"aaaaaaaaaaaaaaaa","current":true,"error":null},{"front_end":"edge-2","generation":"bbbbbbbbbbbbbbbb","current":false,"error":null},{"front_end":"edge-3","generation":null,"current":false,"error":null},{"front_end":"edge-4","generation":null,"current":null,"error":"it cannot be reached: connection refused"}],"endpoints":[{"service":"web","port":"http","instance":"web-1","address":"192.0.2.1:8080","state":"in","weight":100},{"service":"web","port":"http","instance":"web-2","address":"[2001:db8::2]:8080","state":"draining","weight":100}]}"#);
    }
}
