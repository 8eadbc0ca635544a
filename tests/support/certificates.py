"""A certificate authority for tests, and certificates that it signs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA; ``ca_file`` is the path of its certificate."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def server(self, address: str) -> ssl.SSLContext:
        """The TLS context of a server at an IP address, with a signed certificate."""
        name = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        certificate, private = self._signed("a node", name)
        path = self.folder / f"{address.replace(':', '-')}.pem"
        path.write_bytes(certificate + private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def server_for_clients(self, address: str) -> ssl.SSLContext:
        """The TLS context of a server that only accepts clients with a certificate of this CA."""
        context = self.server(address)
        context.load_verify_locations(self.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self) -> tuple[bytes, bytes]:
        """A client certificate, and its key, as PEM."""
        return self._signed("a master", x509.SubjectAlternativeName([x509.DNSName("master")]))

    def _signed(self, subject: str, name: x509.SubjectAlternativeName) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _certificate(subject, self.certificate.subject, key.public_key())
            .add_extension(name, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM), private


def make_authority(folder: Path) -> Authority:
    """Create a CA and write its certificate to the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    own_name = _x509_name("an authority for tests")
    certificate = (
        _certificate("an authority for tests", own_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return Authority(folder, key, certificate)


def _certificate(subject: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_x509_name(subject))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _x509_name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
