"""Runs in the engine's interpreter, which has a library for certificates: makes an authority and a server of it.

Arguments: the folder for ``authority.pem``, ``other.pem`` (an authority that vouches for nothing), ``server.pem`` and
``server.key``, and the server's name.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

folder, host = Path(sys.argv[1]), sys.argv[2]
NOW = datetime.now(UTC)


def certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signed_by: ec.EllipticCurvePrivateKey
) -> bytes:
    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(signed_by, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


authority, other, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
(folder / "authority.pem").write_bytes(certificate("authority", authority, "authority", authority))
(folder / "other.pem").write_bytes(certificate("other", other, "other", other))
(folder / "server.pem").write_bytes(certificate(host, server, "authority", authority))
(folder / "server.key").write_bytes(
    server.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
)
print("{}")
