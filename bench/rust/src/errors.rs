//! Kinds of errors of connections and responses: a fixed set, so that no server can make the report
//! grow.

use std::io;

use rustix::io::Errno;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Kind of an error, as the report counts it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $name,)* }

        impl ErrorKind {
            /// All kinds, in the order of `index`.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Return the name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// Tagged NO.
    No = "NO",
    /// Tagged or untagged BAD.
    Bad = "BAD",
    /// BYE without LOGOUT.
    Bye = "BYE",
    /// LMTP reply 4xx.
    Temporary = "4xx",
    /// LMTP reply 5xx.
    Permanent = "5xx",
    /// Response that the protocol does not allow at this point.
    Unexpected = "unexpected answer",
    /// Bytes that are not a response.
    Garbage = "garbage",
    /// No answer within `answer_seconds`.
    Timeout = "timeout",
    /// The server closed the connection without BYE.
    Closed = "closed by server",
    /// RST.
    Reset = "connection reset",
    /// Connection refused.
    Refused = "connection refused",
    /// Connect took longer than `answer_seconds` or the kernel's timeout.
    ConnectTimeout = "connect timeout",
    /// No route to the host or network.
    Unreachable = "unreachable",
    /// All local ports are in use, or a source address does not belong to this machine.
    NoAddress = "no local address or port",
    /// No file descriptor left in the process or the machine.
    Descriptors = "too many open files",
    /// TLS handshake, certificate or record.
    Tls = "TLS",
    /// Any other error of the operating system.
    Os = "operating system",
    /// An open-loop entry was dropped because too many were waiting.
    Backlog = "backlog full",
}

impl ErrorKind {
    /// Return the index in `ALL`.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Return the kind of an error of connect, read or write.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        let Some(errno) = Errno::from_io_error(error) else {
            return match error.kind() {
                io::ErrorKind::UnexpectedEof => Self::Closed,
                _ => Self::Os,
            };
        };
        match errno {
            Errno::CONNREFUSED => Self::Refused,
            Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => Self::Reset,
            Errno::TIMEDOUT => Self::ConnectTimeout,
            Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::HOSTDOWN => {
                Self::Unreachable
            }
            Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => Self::NoAddress,
            Errno::MFILE | Errno::NFILE => Self::Descriptors,
            _ => Self::Os,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_name_and_index() {
        for (place, kind) in ErrorKind::ALL.iter().enumerate() {
            assert_eq!(kind.index(), place);
            let same = ErrorKind::ALL
                .iter()
                .filter(|other| other.name() == kind.name());
            assert_eq!(same.count(), 1, "{}", kind.name());
        }
    }

    #[test]
    fn the_operating_systems_errors_have_kinds() {
        let of = |errno: Errno| ErrorKind::of_io(&errno.into());
        assert_eq!(of(Errno::CONNREFUSED), ErrorKind::Refused);
        assert_eq!(of(Errno::PIPE), ErrorKind::Reset);
        assert_eq!(of(Errno::MFILE), ErrorKind::Descriptors);
        assert_eq!(of(Errno::NOBUFS), ErrorKind::Os);
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert_eq!(ErrorKind::of_io(&eof), ErrorKind::Closed);
    }
}
