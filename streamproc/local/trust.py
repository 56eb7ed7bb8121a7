"""The system's certificate authorities, for the Java of a Python package.

That Java brings its own list. Behind a company's proxy the system's list is the one that works, and it is the one
that Python's tools use, so Maven gets the same.
"""

import ssl
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.utils import CryptographyDeprecationWarning

PASSWORD = "changeit"  # noqa: S105  # Java's customary word for a list of public certificates; it guards nothing


WARNINGS = threading.Lock()
"""Python's warning filters belong to the whole process."""


def authorities() -> Sequence[x509.Certificate]:
    """The certificate authorities that the system trusts."""
    ders = ssl.create_default_context().get_ca_certs(binary_form=True)
    with WARNINGS, warnings.catch_warnings():
        # A few old authorities break a rule about serial numbers; whether to trust them is the system's business.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return [x509.load_der_x509_certificate(der) for der in ders]


def write_truststore(path: Path) -> Sequence[str]:
    """Write the system's authorities as a Java trust store; the JVM flags that use it, none if the system has none."""
    entries = [pkcs12.PKCS12Certificate(each, f"authority-{at}".encode()) for at, each in enumerate(authorities())]
    if not entries:
        return ()
    path.write_bytes(pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode())))
    return (f"-Djavax.net.ssl.trustStore={path}", f"-Djavax.net.ssl.trustStorePassword={PASSWORD}")
