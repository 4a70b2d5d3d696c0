//! A crawler that follows links from page to page, over servers of its own on this machine.
//!
//! Each page has a task. How many of them may have a connection at a time is limited, by a
//! semaphore. A page that takes too long is given up, whatever its task waits for: a
//! connection, an answer or the rest of it. The second crawl looks for one page. When that is
//! found, all tasks that are under way are cancelled: they unwind, so their connections end and
//! their permits come back.
//!
//! Of ten pages one never answers, and one breaks off.
//!
//! ```text
//! cargo run --release --example crawl
//!
//! 80 of 100 pages were read, 10 took too long, 10 broke off
//! no more than 16 connections were open at a time
//! looking for page 40: 20 pages were read, and 7 tasks were cancelled
//! ```

mod support;

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lisle::channel::unbounded;
use lisle::net::{TcpListener, TcpStream};
use lisle::sync::Semaphore;
use support::{Args, grouped};

const SERVERS: usize = 3;
/// How many connections may be open at a time.
const LIMIT: usize = 16;
/// How long a page may take.
const PATIENCE: Duration = Duration::from_millis(300);

fn main() -> io::Result<()> {
    let mut args = Args::new("crawl", "[PAGES]");
    let pages = args.count("PAGES", 100);
    args.finish();

    lisle::run(|| {
        let site = Site::open(pages)?;
        let all = crawl(&site, None);
        println!(
            "{} of {} pages were read, {} took too long, {} broke off",
            grouped(all.read),
            grouped(pages),
            grouped(all.too_long),
            grouped(all.broken),
        );
        println!("no more than {} connections were open at a time", all.most_open);

        let wanted = pages * 2 / 5;
        let some = crawl(&site, Some(wanted));
        println!(
            "looking for page {wanted}: {} pages were read, and {} tasks were cancelled",
            grouped(some.read),
            grouped(some.cancelled),
        );
        Ok(())
    })
}

/// How many pages have had which fate.
#[derive(Default)]
struct Summary {
    read: usize,
    too_long: usize,
    broken: usize,
    cancelled: usize,
    most_open: usize,
}

/// What the task of a page tells: the links, or why there are none.
enum Fate {
    Read(Vec<usize>),
    TooLong,
    Broken,
}

/// Reads the first page and all to which links lead, or until the `wanted` one is read.
fn crawl(site: &Arc<Site>, wanted: Option<usize>) -> Summary {
    let limit = Arc::new(Semaphore::new(LIMIT));
    let (report, fates) = unbounded();
    let mut summary = Summary::default();
    let mut known = HashMap::new();
    let mut under_way = 0;
    let mut links = vec![0];
    loop {
        for page in links.drain(..) {
            known.entry(page).or_insert_with(|| {
                under_way += 1;
                let (site, limit, report) = (site.clone(), limit.clone(), report.clone());
                lisle::spawn(move || {
                    let permit = limit.acquire().expect("nobody closes it"); // may have to wait
                    let open = LIMIT - limit.available_permits();
                    let fate = match lisle::timeout(PATIENCE, || fetch(site.address(page), page)) {
                        Ok(Ok(links)) => Fate::Read(links),
                        Ok(Err(_)) => Fate::Broken,
                        Err(_elapsed) => Fate::TooLong,
                    };
                    drop(permit);
                    let _ = report.send((page, open, fate));
                })
            });
        }
        if under_way == 0 {
            return summary;
        }
        let (page, open, fate) = fates.recv().unwrap();
        summary.most_open = summary.most_open.max(open);
        under_way -= 1;
        match fate {
            Fate::Read(found) => {
                summary.read += 1;
                links = found;
            }
            Fate::TooLong => summary.too_long += 1,
            Fate::Broken => summary.broken += 1,
        }
        if wanted == Some(page) {
            break;
        }
    }
    for task in known.values() {
        task.cancel();
    }
    // Once they are joined, nothing of theirs is left, and no connection is open any more.
    let results = known.into_values().map(|task| task.join());
    summary.cancelled = results.filter(Result::is_err).count();
    summary
}

/// The links of a page.
fn fetch(address: SocketAddr, page: usize) -> io::Result<Vec<usize>> {
    let mut stream = TcpStream::connect(address)?;
    writeln!(stream, "{page}")?;
    let mut links = Vec::new();
    for line in BufReader::new(stream).lines() {
        match line?.as_str() {
            "end" => return Ok(links),
            link => links.push(link.parse().map_err(io::Error::other)?),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Some servers, which share the pages among them.
struct Site {
    pages: usize,
    addresses: Vec<SocketAddr>,
}

impl Site {
    fn open(pages: usize) -> io::Result<Arc<Self>> {
        let listeners = (0..SERVERS).map(|_| TcpListener::bind(("127.0.0.1", 0)));
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let site = Arc::new(Self { pages, addresses });
        for listener in listeners {
            let site = site.clone();
            lisle::spawn(move || {
                for stream in listener.incoming() {
                    let (stream, site) = (stream?, site.clone());
                    lisle::spawn(move || site.serve(&stream));
                }
                Ok::<_, io::Error>(())
            });
        }
        Ok(site)
    }

    fn address(&self, page: usize) -> SocketAddr {
        self.addresses[page % self.addresses.len()]
    }

    /// Answers one question. A page links to the two next ones and to one that is far away.
    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut question = String::new();
        BufReader::new(stream).read_line(&mut question)?;
        let page: usize = question.trim().parse().map_err(io::Error::other)?;
        match page % 10 {
            3 => return writeln!(stream, "{}", page + 1), // and no end
            7 => {
                // Never answers. It reads the end when the client has lost patience.
                io::copy(&mut stream, &mut io::sink())?;
                return Ok(());
            }
            _ => {}
        }
        let mut answer = String::new();
        for link in [page + 1, page + 2, 2 * page + 1] {
            if link < self.pages {
                answer += &format!("{link}\n");
            }
        }
        stream.write_all(format!("{answer}end\n").as_bytes())
    }
}
