//! Where a service answers.

use crate::call::Service;
use crate::error::Error;

/// Where a service of a region answers, and for which region a request to it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) endpoint: String,
    pub(crate) signed_for: String,
}

/// Reads the name of a region, such as `us-east-1`, `us-gov-west-1` or `me-central-1`.
///
/// # Errors
/// Any other text: it would end up in the name of a host.
pub(crate) fn region(text: &str) -> Result<String, Error> {
    let words: Vec<&str> = text.split('-').collect();
    let is_word = |word: &&str| !word.is_empty() && word.bytes().all(|one| one.is_ascii_lowercase());
    match words.as_slice() {
        [first @ .., last] if first.len() >= 2 && first.iter().all(is_word) && last.parse::<u8>().is_ok() => {
            Ok(text.to_owned())
        }
        _ => Err(Error::Region(text.to_owned())),
    }
}

impl Place {
    /// That of a service for a region; `AWS_ENDPOINT_URL_EC2`, `AWS_ENDPOINT_URL_PRICING` and `AWS_ENDPOINT_URL` go before.
    pub(crate) fn of(service: Service, region: &str, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let signed_for = match service {
            Service::Ec2 => region,
            Service::Pricing => prices_of(region),
        };
        let named = env(&format!("AWS_ENDPOINT_URL_{}", service.word().to_uppercase()));
        let endpoint = named.or_else(|| env("AWS_ENDPOINT_URL")).unwrap_or_else(|| {
            let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            match service {
                Service::Ec2 => format!("https://ec2.{signed_for}.{domain}"),
                Service::Pricing => format!("https://api.pricing.{signed_for}.{domain}"),
            }
        });
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), signed_for: signed_for.to_owned() }
    }
}

/// The region whose price list is nearest; there are four in the world, and each has all regions of its partition.
fn prices_of(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("ap") => "ap-south-1",
        Some("eu") => "eu-central-1",
        Some("cn") => "cn-northwest-1",
        _ => "us-east-1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_a_name_that_is_safe_in_the_name_of_a_host() {
        for right in ["us-east-1", "us-gov-west-1", "me-central-1", "ap-southeast-5", "eusc-de-east-1"] {
            assert_eq!(region(right).ok().as_deref(), Some(right));
        }
        for wrong in ["", "us-east", "us-east-1a", "us-east-1.evil.org", "US-EAST-1", "1", "us--1", "mars/x-1"] {
            assert!(region(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prices_come_from_the_list_of_the_partition_and_a_variable_goes_before() {
        let check = |service, region, variable: Option<&str>, endpoint: &str, signed_for: &str| {
            let place = Place::of(service, region, &|name| {
                variable.filter(|_| name == "AWS_ENDPOINT_URL_EC2").map(str::to_owned)
            });
            assert_eq!((&*place.endpoint, &*place.signed_for), (endpoint, signed_for), "{region}");
        };
        check(Service::Ec2, "us-west-2", None, "https://ec2.us-west-2.amazonaws.com", "us-west-2");
        check(Service::Ec2, "us-west-2", Some("http://127.0.0.1:5000/"), "http://127.0.0.1:5000", "us-west-2");
        check(Service::Pricing, "us-west-2", None, "https://api.pricing.us-east-1.amazonaws.com", "us-east-1");
        check(
            Service::Pricing,
            "eu-west-1",
            Some("x"),
            "https://api.pricing.eu-central-1.amazonaws.com",
            "eu-central-1",
        );
        check(Service::Pricing, "ap-east-1", None, "https://api.pricing.ap-south-1.amazonaws.com", "ap-south-1");
        check(
            Service::Pricing,
            "cn-north-1",
            None,
            "https://api.pricing.cn-northwest-1.amazonaws.com.cn",
            "cn-northwest-1",
        );
        check(Service::Ec2, "cn-north-1", None, "https://ec2.cn-north-1.amazonaws.com.cn", "cn-north-1");
    }
}
