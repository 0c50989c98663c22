//! The calls that this crate can make. No other can be sent, so the rights follow from here.

/// A service of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Ec2,
    Pricing,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    DescribeAvailabilityZones,
    DescribeInstanceTypes,
    DescribeInstanceTypeOfferings,
    DescribeSpotPriceHistory,
    GetProducts,
}

impl Service {
    /// Before the `:` of IAM's actions, in signatures, and in the names of hosts.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Pricing => "pricing",
        }
    }
}

impl Call {
    pub(crate) const ALL: [Self; 5] = [
        Self::DescribeAvailabilityZones,
        Self::DescribeInstanceTypes,
        Self::DescribeInstanceTypeOfferings,
        Self::DescribeSpotPriceHistory,
        Self::GetProducts,
    ];

    pub(crate) const fn service(self) -> Service {
        match self {
            Self::GetProducts => Service::Pricing,
            _ => Service::Ec2,
        }
    }

    /// As the API spells it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::DescribeAvailabilityZones => "DescribeAvailabilityZones",
            Self::DescribeInstanceTypes => "DescribeInstanceTypes",
            Self::DescribeInstanceTypeOfferings => "DescribeInstanceTypeOfferings",
            Self::DescribeSpotPriceHistory => "DescribeSpotPriceHistory",
            Self::GetProducts => "GetProducts",
        }
    }

    /// The most rows that a page of it may hold, as its documentation has it; `None`: it comes whole.
    pub(crate) const fn page(self) -> Option<u32> {
        match self {
            Self::DescribeAvailabilityZones => None,
            Self::DescribeInstanceTypes | Self::GetProducts => Some(100),
            Self::DescribeInstanceTypeOfferings | Self::DescribeSpotPriceHistory => Some(1000),
        }
    }

    /// The action that IAM must allow.
    pub(crate) fn action(self) -> String {
        format!("{}:{}", self.service().word(), self.word())
    }
}
