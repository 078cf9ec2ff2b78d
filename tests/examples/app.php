<?php // php -S 127.0.0.1:9000 app.php
if ($_SERVER['REQUEST_URI'] === '/login' && $_SERVER['REQUEST_METHOD'] === 'POST') {
    // Check the password here.
    http_response_code(303);
    header('Location: /');
    header('X-Session-User: ' . $_POST['user']);
} else {
    echo 'Hello ' . htmlspecialchars(rawurldecode($_SERVER['HTTP_X_USER_ID']));
}
