//! As much of an HTTP server as the examples need. httparse reads the heads of requests: it works
//! on bytes, and so has nothing to do with waiting for them.

use std::io::{self, Read, Write};

/// The head of a request, and its body.
#[derive(Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Reads the next request of a connection. `None` if there is none. What has been read of the
    /// one after it is left in `input`.
    pub fn read(stream: &mut impl Read, input: &mut Vec<u8>) -> io::Result<Option<Self>> {
        loop {
            if let Some((request, length)) = Self::parse(input)? {
                input.drain(..length);
                return Ok(Some(request));
            }
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes)? {
                0 if input.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => input.extend(&bytes[..length]),
            }
        }
    }

    /// The request at the start of the input, and how long it is.
    fn parse(input: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Request::new(&mut headers);
        let status =
            head.parse(input).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let httparse::Status::Complete(length) = status else { return Ok(None) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = head.headers.iter();
        let mut request = Self {
            method: head.method.unwrap_or_default().to_owned(),
            path: head.path.unwrap_or_default().to_owned(),
            headers: headers.map(|header| (header.name.to_owned(), text(header.value))).collect(),
            body: Vec::new(),
        };
        let body = request.header("content-length").and_then(|length| length.parse().ok());
        let end = length + body.unwrap_or(0);
        let Some(body) = input.get(length..end) else { return Ok(None) };
        request.body = body.to_owned();
        Ok(Some((request, end)))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|header| header.0.eq_ignore_ascii_case(name))?;
        Some(&header.1)
    }
}

/// Answers with a page, after which the connection goes on.
pub fn answer(stream: &mut impl Write, kind: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    stream.flush()
}
