//! Why there is no answer, and what to do about it.

use crate::call::Call;

/// Why the inventory of a region could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody says which region.
    #[error("no region is known: set AWS_REGION (or name one), or run on a node whose metadata tells it")]
    NoRegion,
    /// What was given is no name of a region.
    #[error("{0:?} is no region of AWS: write one such as us-east-1")]
    Region(String),
    /// The chain of providers ends without credentials.
    #[error(
        "no credentials for AWS: give the ServiceAccount a role (EKS Pod Identity or IRSA), set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or name a profile with AWS_PROFILE ({0})"
    )]
    NoCredentials(String),
    /// AWS does not take them.
    #[error("{action}: AWS does not take the credentials ({code}: {message}); renew them")]
    Credentials {
        /// Of IAM.
        action: String,
        /// Of AWS.
        code: String,
        /// Of AWS.
        message: String,
    },
    /// A right is missing.
    #[error("{action} is not allowed: add it to the policy of the role ({code}: {message})")]
    Denied {
        /// Of IAM: what has to be allowed.
        action: String,
        /// Of AWS.
        code: String,
        /// Of AWS.
        message: String,
    },
    /// AWS refuses the call for another reason.
    #[error("{action} is refused ({code}: {message})")]
    Refused {
        /// Of IAM.
        action: String,
        /// Of AWS.
        code: String,
        /// Of AWS.
        message: String,
    },
    /// No whole answer came, however often it was asked.
    #[error("{action}: no answer from {endpoint} after {attempts} attempts: {cause}")]
    Unavailable {
        /// Of IAM.
        action: String,
        /// What was asked.
        endpoint: String,
        /// How often.
        attempts: u32,
        /// What went wrong at last.
        cause: String,
    },
    /// What came is no answer of this API.
    #[error("{action}: what {endpoint} answers cannot be read: {cause}; is it AWS, or a proxy?")]
    Unreadable {
        /// Of IAM.
        action: String,
        /// What was asked.
        endpoint: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The answers are well-formed and say nothing.
    #[error("{action} answers with an empty list for region {region}: does the account have the region enabled?")]
    Empty {
        /// Of IAM.
        action: String,
        /// The region that was asked for.
        region: String,
    },
    /// The price list has rows, and none of them is a price that can be used.
    #[error("no on-demand price of region {region} can be used ({why}); give prices as CSV")]
    NoPrices {
        /// The region that was asked for.
        region: String,
        /// What the list has instead.
        why: String,
    },
    /// The operating system grants no timers or sockets.
    #[error("no connection can be made: {0}")]
    System(String),
}

/// What AWS says instead of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Refusal {
    /// Whether it is about too many requests.
    pub(crate) fn is_throttling(&self) -> bool {
        let words = ["Throttl", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "PriorRequestNotComplete"];
        words.iter().any(|word| self.code.contains(word))
    }

    /// Whether it is about the time of the signature: the clocks of both sides differ.
    pub(crate) fn is_about_time(&self) -> bool {
        ["RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"].contains(&&*self.code)
            || (["SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"].contains(&&*self.code)
                && (self.message.contains("expired") || self.message.contains("not yet current")))
    }

    pub(crate) fn into_error(self, call: Call) -> Error {
        let (action, Self { code, message }) = (call.action(), self);
        match &*code {
            "UnauthorizedOperation" | "AccessDenied" | "AccessDeniedException" | "UnauthorizedException" => {
                Error::Denied { action, code, message }
            }
            "AuthFailure"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "RequestExpired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException" => Error::Credentials { action, code, message },
            _ => Error::Refused { action, code, message },
        }
    }
}
