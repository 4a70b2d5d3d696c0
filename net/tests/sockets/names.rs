//! Names and addresses.

use std::io::ErrorKind;
use std::net::{self, IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::time::Duration;

use lisle::net::{ToSocketAddrs, lookup_timeout};

use crate::support::everywhere;

/// What we and the standard library make of it.
#[track_caller]
fn same<T: ToSocketAddrs + net::ToSocketAddrs>(value: T) -> Vec<SocketAddr> {
    let ours: Vec<_> = ToSocketAddrs::to_socket_addrs(&value).unwrap().collect();
    let theirs: Vec<_> = net::ToSocketAddrs::to_socket_addrs(&value).unwrap().collect();
    assert_eq!(ours, theirs);
    ours
}

#[test]
fn everything_that_std_takes_means_the_same() {
    everywhere(|_| {
        let (v4, v6) = (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::LOCALHOST);
        let addresses: [SocketAddr; 2] = [(v4, 80).into(), (v6, 443).into()];
        assert_eq!(same(addresses[0]), addresses[..1]);
        assert_eq!(same(SocketAddrV4::new(v4, 80)), addresses[..1]);
        same(SocketAddrV6::new(v6, 443, 7, 9));
        assert_eq!(same((v4, 80)), addresses[..1]);
        assert_eq!(same((v6, 443)), addresses[1..]);
        assert_eq!(same((IpAddr::from(v4), 80)), addresses[..1]);
        assert_eq!(same((IpAddr::from(v6), 443)), addresses[1..]);
        assert_eq!(same(&addresses[..]), addresses);
        assert_eq!(same(("192.0.2.1", 80)), addresses[..1]);
        assert_eq!(same((String::from("::1"), 443)), addresses[1..]);
        assert_eq!(same("192.0.2.1:80"), addresses[..1]);
        assert_eq!(same("[::1]:443"), addresses[1..]);
        assert_eq!(same("::1:443"), addresses[1..]);
        let text = String::from("192.0.2.1:80");
        assert_eq!(same(&text), addresses[..1]);
        assert_eq!(same(text), addresses[..1]);
        assert!(!same("localhost:80").is_empty());
        assert!(!same(("localhost", 0)).is_empty());
        Ok(())
    });
}

#[test]
fn what_is_no_address_is_an_error_of_the_same_kind() {
    everywhere(|_| {
        for text in ["", "127.0.0.1", ":", "localhost:", "localhost:x", "localhost:65536", "[::1]"]
        {
            let ours = text.to_socket_addrs().map(|_| ()).unwrap_err();
            let theirs = net::ToSocketAddrs::to_socket_addrs(text).map(|_| ()).unwrap_err();
            assert_eq!(ours.kind(), theirs.kind(), "{text}");
            assert_eq!(ours.kind(), ErrorKind::InvalidInput, "{text}");
        }
        for text in ["a\0b:80", "no such name:80"] {
            let ours = text.to_socket_addrs().map(|_| ()).unwrap_err();
            let theirs = net::ToSocketAddrs::to_socket_addrs(text).map(|_| ()).unwrap_err();
            assert_eq!(ours.kind(), theirs.kind(), "{text}");
        }
        Ok(())
    });
}

#[test]
fn a_look_up_may_have_a_limit() {
    everywhere(|_| {
        let addresses = lookup_timeout("localhost", 80, Duration::MAX)?;
        assert_eq!(addresses.collect::<Vec<_>>(), same("localhost:80"));
        let address = lookup_timeout("127.0.0.1", 80, Duration::ZERO)?.next();
        assert_eq!(address, Some(([127, 0, 0, 1], 80).into()), "it needs no time");
        Ok(())
    });
}
