"""The system's certificate authorities, for the Java of a Python package.

That Java brings its own list. Behind a company's proxy the system's list is the one that works, and it is the one
that Python's tools use, so Maven gets the same.
"""

import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

PASSWORD = "changeit"  # noqa: S105  # Java's customary word for a list of public certificates; it guards nothing


def write_truststore(path: Path) -> Sequence[str]:
    """Write the system's authorities as a Java trust store; the JVM flags that use it, none if the system has none."""
    authorities = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not authorities:
        return ()
    entries = [
        pkcs12.PKCS12Certificate(x509.load_der_x509_certificate(der), f"authority-{index}".encode())
        for index, der in enumerate(authorities)
    ]
    path.write_bytes(pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode())))
    return (f"-Djavax.net.ssl.trustStore={path}", f"-Djavax.net.ssl.trustStorePassword={PASSWORD}")
