"""Reads web pages carefully: robots.txt, one deadline, a size limit, and no private address.

A host's name is resolved here, once per request, and the connection goes to the address that was
checked: a name that resolves differently the second time cannot lead into the private network.
Every redirect is checked like the first URL; one that the page itself asks for is not followed. A
proxy of the environment is not used, since it would resolve the name itself. HTML is parsed in a
child process.
"""

import asyncio
import ipaddress
import re
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self
from urllib.robotparser import RobotFileParser

import httpx2
from pydantic import Field

from .decoding import decode, is_html, is_text
from .errors import FleetError
from .reader_process import Limits, Unreadable, read_page
from .searches.search import BodyRefused, read_body
from .settings import Settings
from .text import sanitize

HTML = ("text/html", "application/xhtml+xml")
READ = (*HTML, "text/plain", "text/markdown")
REDIRECTS = (301, 302, 303, 307, 308)
_MOST_RULES = 500_000  # the least that RFC 9309 asks of a reader, and enough
# https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry, with
# multicast and two that no registry lists: older Pythons take some of them for global.
_SPECIAL = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        "168.63.129.16/32",  # the host of every Azure machine
        *("2001::/23", "2001:db8::/32", "3ffe::/16", "3fff::/20"),
    )
]
_UNICAST = ipaddress.ip_network("2000::/3")  # the only block of IPv6 that is given out
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class FetchRefused(FleetError):
    """A page was not read: forbidden, private, too large, too slow, or without text."""


class FetchSettings(Settings):
    """How pages are read. `allow_hosts` are private hosts (`host` or `host:port`) to be read."""

    timeout_s: float = Field(default=15, gt=0)
    max_bytes: int = Field(default=2_000_000, gt=0)
    max_redirects: int = Field(default=5, ge=0)
    user_agent: str = "fleet-research/1.0"
    allow_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """The text at a URL, after redirects."""

    url: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class _Body:
    url: httpx2.URL
    status: int
    type: str
    charset: str | None
    data: bytes


@dataclass
class Fetcher:
    """Reads pages for one run: `async with Fetcher(settings) as fetcher`."""

    settings: FetchSettings
    _robots: dict[str, asyncio.Task[RobotFileParser]] = field(
        default_factory=dict[str, asyncio.Task[RobotFileParser]]
    )
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        """Open the client."""
        headers = {
            "User-Agent": self.settings.user_agent,
            "Accept": ", ".join(READ),
            "Accept-Encoding": "gzip",
        }
        client = httpx2.AsyncClient(
            headers=headers, timeout=self.settings.timeout_s, trust_env=False
        )
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client and drop what is still being read."""
        for task in self._robots.values():
            task.cancel()
        await self._stack.aclose()

    async def page(self, url: str) -> Page:
        """Read one page.

        Raises:
            FetchRefused: It was not read; the message names the URL.
        """
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                body = await self._get(_parse_url(url), robots=True)
                return await _make_page(body, Limits(self.settings.timeout_s))
        except (FetchRefused, BodyRefused, Unreadable) as error:
            raise FetchRefused(f"{url}: {error}") from None
        except TimeoutError:
            raise FetchRefused(f"{url}: took over {self.settings.timeout_s:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
            raise FetchRefused(f"{url}: cannot be read ({type(error).__name__})") from None

    async def _get(self, url: httpx2.URL, *, robots: bool) -> _Body:
        for _ in range(self.settings.max_redirects + 1):
            if robots and not (await self._find_rules(url)).can_fetch(
                self.settings.user_agent, str(url)
            ):
                raise FetchRefused("its robots.txt forbids it")
            answer = await self._request(url)
            if isinstance(answer, _Body):
                return answer
            url = answer
        raise FetchRefused(f"more than {self.settings.max_redirects} redirects")

    async def _request(self, url: httpx2.URL) -> _Body | httpx2.URL:
        """Send one request to one checked address. Return its body, or where it redirects to."""
        address = await self._resolve(url)
        request = self._client.build_request(
            "GET",
            url.copy_with(host=address),
            headers={"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.host},
        )
        response = await self._client.send(request, stream=True)
        try:
            if response.status_code in REDIRECTS and "Location" in response.headers:
                return _parse_url(str(url.join(response.headers["Location"])))
            kind = re.split("[;,]", response.headers.get("Content-Type", ""))[0].strip().lower()
            data = await read_body(response, self.settings.max_bytes)
            return _Body(url, response.status_code, kind, response.charset_encoding, data)
        finally:
            await response.aclose()

    async def _resolve(self, url: httpx2.URL) -> str:
        """Return an address of the URL's host.

        Raises:
            FetchRefused: One of the host's addresses is private.
        """
        port = url.port or (443 if url.scheme == "https" else 80)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        allowed = {url.host, f"{url.host}:{port}"} & set(self.settings.allow_hosts)
        private = next((one for one in addresses if not is_public(one)), None)
        if private and not allowed:
            raise FetchRefused(f"leads to the private address {private}")
        return addresses[0]

    async def _find_rules(self, url: httpx2.URL) -> RobotFileParser:
        """Return the robots.txt of a URL's host, read once per run."""
        origin = str(url.copy_with(raw_path=b"/robots.txt", fragment=None))
        if origin not in self._robots:
            self._robots[origin] = asyncio.create_task(self._read_rules(origin))
        # A caller that gives up must not cancel the reading for the others.
        return await asyncio.shield(self._robots[origin])

    async def _read_rules(self, origin: str) -> RobotFileParser:
        """Read a robots.txt by RFC 9309: 4xx allows everything, 5xx and no answer nothing."""
        async with asyncio.timeout(self.settings.timeout_s):
            body = await self._get(_parse_url(origin), robots=False)
        if body.status >= 500:
            raise FetchRefused(f"its robots.txt answered with status {body.status}")
        rules = RobotFileParser()
        text = decode(body.data[:_MOST_RULES]) if body.status == 200 else ""
        await asyncio.to_thread(rules.parse, text.splitlines())
        return rules


def is_public(address: str) -> bool:
    """Whether an IP address is on the public internet; an IPv4 address inside has to be as well."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if inner := ip.ipv4_mapped or _find_inner_address(ip):
            return is_public(str(inner))
        if ip not in _UNICAST:
            return False
    return ip.is_global and not any(ip in network for network in _SPECIAL)


def _find_inner_address(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that NAT64, 6to4 or ISATAP sends to."""
    if ip in _NAT64 or int(ip) >> 32 & 0xFDFFFFFF == 0x5EFE:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.sixtofour


def _parse_url(text: str) -> httpx2.URL:
    url = httpx2.URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise FetchRefused("is not an http or https address")
    if url.userinfo:
        raise FetchRefused("holds a user name or password")
    return url


async def _make_page(body: _Body, limits: Limits) -> Page:
    if body.status != 200:
        raise FetchRefused(f"answered with status {body.status}")
    if body.type not in READ:
        raise FetchRefused(f"is {body.type or 'of no stated type'}, not text")
    text = decode(body.data, body.charset)
    if not is_text(text):
        raise FetchRefused(f"is not text, although it says {body.type}")
    if body.type in HTML or is_html(body.data):
        found = await read_page(body.data, body.charset, limits)
        title, text = sanitize(found["title"]), sanitize(found["text"])
    else:
        title, text = "", sanitize(text).strip()
    if not text:
        raise FetchRefused("holds no readable text")
    return Page(str(body.url), title or str(body.url), text)
